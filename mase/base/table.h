// Table: rows of typed values, for people (terminal, Markdown, the looks of MASE) and for programs
// (CSV, JSON; proto/report.proto through table_report.h).
//
//   Table table("costs", "Costs of each node", {{"node"}, {"MACs"}, {"share", "%", 1}});
//   table.AddRow({node.name(), int64_t{160}, 12.5});
//   table.AddRow({"relu", 0, Cell()});             // Nothing is known of this share.
//   std::cout << table.Text();                     // For a terminal: at most 80 characters wide.
//   context.AddTable(table);                       // In a pass: shown, kept, <pass>/costs.csv.
//
//   Costs of each node
//   node    MACs  share (%)
//   ------  ----  ---------
//   linear   160       12.5
//   relu       0
//
// A cell is a text, a whole number, a real number, a truth or empty; which it is goes by the C++
// type it is made of. Give programs numbers, not texts of them: digits, signs and commas are added
// where the table is shown. Nothing has to be set besides the columns; what one can say of a column
// more than its name is in Column.
//
// Every rendering ends with a newline. Widths count characters of UTF-8 text.
#ifndef MASE_BASE_TABLE_H_
#define MASE_BASE_TABLE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace mase {

// One value of a table.
class Cell {
 public:
  using Value = std::variant<std::monostate, std::string, int64_t, double, bool>;

  Cell() = default;  // Empty: nothing is known, or nothing applies.
  Cell(std::string text) : value_(std::move(text)) {}
  Cell(absl::string_view text) : value_(std::string(text)) {}
  Cell(const char* text) : value_(std::string(text)) {}
  Cell(bool truth) : value_(truth) {}
  // Integers of any type below 2^63 (else it is the nearest real number); floats and doubles.
  template <typename Number, std::enable_if_t<std::is_arithmetic_v<Number>, bool> = true>
  Cell(Number number) {
    if constexpr (std::is_floating_point_v<Number>) {
      value_ = static_cast<double>(number);
    } else if (std::is_signed_v<Number> ||
               static_cast<uint64_t>(number) <= std::numeric_limits<int64_t>::max()) {
      value_ = static_cast<int64_t>(number);
    } else {
      value_ = static_cast<double>(number);
    }
  }

  const Value& value() const { return value_; }
  bool empty() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_text() const { return std::holds_alternative<std::string>(value_); }
  bool is_number() const {
    return std::holds_alternative<int64_t>(value_) || std::holds_alternative<double>(value_);
  }

 private:
  Value value_;
};

enum class Align {
  kAuto,  // Right if every cell below the header is a number, reads as one, or is empty, else left.
  kLeft,
  kCenter,
  kRight,
};

// What a column holds, and how people see it: {"accuracy"}, {"time", "ms", 3},
// {.name = "change", .decimals = 4, .signs = true}.
struct Column {
  std::string name;       // Programs go by it: it is the head of the CSV, and stays.
  std::string unit = "";  // "%", "ms", "bits". People see it behind the name: "time (ms)".
  // Digits that people see behind the point of real numbers; below 0: four significant ones.
  // CSV and JSON have all digits that the number needs.
  int decimals = -1;
  bool signs = false;  // Real and whole numbers above 0 are shown with a +.
  // Where a terminal has no room for all columns, those of the highest rank go first, of equals the
  // one furthest right. The first column of all never goes.
  int rank = 0;
  Align align = Align::kAuto;
};

class Table {
 public:
  // `name` is that of the CSV file and the key for programs: a word of letters, digits, '_', '-'.
  // `title` is one line for people, without a point. Both may be empty in a table that is only
  // printed.
  Table(std::string name, std::string title, std::vector<Column> columns);
  explicit Table(std::vector<Column> columns) : Table("", "", std::move(columns)) {}

  // Appends a row with as many cells as there are columns (else CHECK-fails).
  void AddRow(std::vector<Cell> cells);

  const std::string& name() const { return name_; }
  const std::string& title() const { return title_; }
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }
  int num_rows() const { return static_cast<int>(rows_.size()); }

  // Shows the cell of a row added earlier in grey, in Text with colours.
  void Dim(int row, int column);

  // ---- For people ----

  // The room that a table has on the screen.
  struct Room {
    int columns = 80;
    int rows = 0;            // Further rows are left out, and a line says how many; 0: no limit.
    bool color = false;      // For a terminal, never a file.
    std::string whole = "";  // Where the whole table is: "costs/costs.csv".
  };

  // Title, header, rows: columns two blanks apart, at most room.columns wide whatever the table
  // holds. Cells and headers that are too wide go on in the next line, broken at blanks or behind
  // one of . _ / , : = - where there are any, eight lines at most; if that is not enough, columns
  // are left out, and a line below says which and where the whole table is. Whole numbers from
  // 10,000 on have commas; truths are "yes" and "no".
  std::string Text(const Room& room) const;
  std::string Text() const { return Text(Room()); }

  // A table of GitHub's Markdown, cells as in Text; without the title.
  std::string Markdown() const;

  // The looks that MASE prints ("pretty", "orgtbl", "grid", "simple" of Python's tabulate, which
  // leaves two characters beside a header), as wide as their cells are. For output that is compared
  // with MASE's byte by byte; everything else is shown by Text.
  //
  //   Boxed                  Org                      Grid                       Plain
  //   +------+-------+       | Name   |   Total |     +--------+---------+       Name  Total
  //   | Name | Total |       |--------+---------|     | Name   |   Total |       x         1
  //   +------+-------+       | x      |       1 |     +========+=========+
  //   | x    |     1 |                                | x      |       1 |       Simple
  //   +------+-------+                                +--------+---------+       Name      Total
  //                                                                              ------  -------
  //                                                                              x             1
  std::string Boxed() const;
  std::string Org() const;
  std::string Grid() const;
  std::string Plain() const;
  std::string Simple() const;

  // ---- For programs ----

  // RFC 4180 with "\n" line ends: cells that hold a comma, quote or line break are quoted, quotes
  // doubled. The header has the names alone. Real numbers have the digits that their double needs,
  // or are "nan", "inf", "-inf"; truths are "true" and "false"; empty cells are empty.
  std::string Csv() const;

  // {"name": ..., "title": ..., "columns": [{"name": ..., "unit": ..., "decimals": ...}],
  // "rows": [[...], ...]}: as a summary.json has it. Numbers that are not finite are null.
  std::string Json() const;

 private:
  std::string name_, title_;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<std::pair<int, int>> dimmed_;  // Row and column.
};

}  // namespace mase

#endif  // MASE_BASE_TABLE_H_
