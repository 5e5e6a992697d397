// Tables of text, for people (four looks) and for programs (CSV).
//
//   Table table({"Original type", "OP", "Total"});
//   table.AddRow({"Linear", "linear", "1"});
//   std::cout << table.Org();
//
//   Boxed                  Org                      Grid                       Plain
//   +------+-------+       | Name   |   Total |     +--------+---------+       Name  Total
//   | Name | Total |       |--------+---------|     | Name   |   Total |       x         1
//   +------+-------+       | x      |       1 |     +========+=========+
//   | x    |     1 |                                | x      |       1 |       Simple
//   +------+-------+                                +--------+---------+       Name      Total
//                                                                              ------  -------
//                                                                              x             1
//
// The looks are those that MASE prints ("pretty", "orgtbl", "grid", "simple" of
// Python's tabulate, which leaves two characters beside a header). Widths count characters of UTF-8
// text. A cell may have several lines. Every rendering ends with a newline.
#ifndef MASE_BASE_TABLE_H_
#define MASE_BASE_TABLE_H_

#include <string>
#include <vector>

namespace mase {

class Table {
 public:
  enum class Align {
    kAuto,  // Right if every cell below the header is a number or empty, else left.
    kLeft,
    kCenter,
    kRight,
  };

  explicit Table(std::vector<std::string> header);

  // Appends a row with as many cells as the header has (else CHECK-fails).
  void AddRow(std::vector<std::string> cells);

  // Alignment of one column; kAuto at first.
  void SetAlign(int column, Align align);

  // Prints the cell of a row added earlier in grey. Shows only after UseColor(true), which is
  // for output to a terminal, and never in CSV.
  void Dim(int row, int column);
  void UseColor(bool on) { use_color_ = on; }

  // Breaks longer cells into lines of at most `width` characters, at spaces where
  // there are any. 0, the default: no limit. CSV is not affected.
  void SetMaxCellWidth(int width) { max_cell_width_ = width; }

  int num_rows() const { return static_cast<int>(rows_.size()); }

  std::string Boxed() const;
  std::string Org() const;
  std::string Grid() const;
  std::string Plain() const;
  std::string Simple() const;

  // RFC 4180 with "\n" line ends: cells that hold a comma, quote or line break
  // are quoted, quotes doubled.
  std::string Csv() const;

 private:
  struct Look;
  struct Cell {
    std::string text;
    bool dim = false;
  };
  using Row = std::vector<Cell>;

  std::string Render(const Look& look) const;
  std::string RenderRow(const Row& row, const std::vector<int>& widths,
                        const std::vector<Align>& aligns, const Look& look) const;
  std::vector<std::string> Lines(const Cell& cell) const;
  std::vector<int> Widths(int header_space) const;
  std::vector<Align> ResolvedAligns() const;

  Row header_;
  std::vector<Row> rows_;
  std::vector<Align> aligns_;
  bool use_color_ = false;
  int max_cell_width_ = 0;
};

}  // namespace mase

#endif  // MASE_BASE_TABLE_H_
