// A connection to a database through SOCI: transactions that are tried again while the database
// does not answer, and statuses instead of exceptions.
//
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
//                         Database::Open("sqlite:///study.db", absl::Seconds(300), say));
//   int64_t count = 0;
//   MASE_RETURN_IF_ERROR(database->Transact([&](soci::session& sql) {
//     sql << "SELECT COUNT(*) FROM trials", soci::into(count);
//     return absl::OkStatus();
//   }));
//
// Not thread-safe: a thread has its own.
#ifndef MASE_SEARCH_DATABASE_H_
#define MASE_SEARCH_DATABASE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "soci/soci.h"

namespace mase {

// Where a database is.
struct DatabaseUrl {
  enum class Kind { kMemory, kSqlite, kPostgres };
  Kind kind = Kind::kMemory;
  std::string text;     // Without a password, for messages.
  std::string connect;  // What SOCI is told.
  std::string file;     // Of kSqlite.
};

// Reads an address as Optuna (SQLAlchemy) has it: "sqlite:///FILE" (a fourth slash begins an
// absolute path), "postgresql://USER:PASSWORD@HOST:PORT/NAME", also with "+psycopg2" or another
// driver's name; "" and "sqlite://" are a database in memory. InvalidArgument for others.
absl::StatusOr<DatabaseUrl> ParseDatabaseUrl(absl::string_view url);

class Database {
 public:
  using Say = std::function<void(absl::string_view)>;
  using Work = std::function<absl::Status(soci::session& sql)>;

  // Connects. Where the database does not answer, `say` is told, and it is tried again for
  // `patience`, then Unavailable; Cancelled once `interrupted`, which may be null, is true.
  // Unavailable at once where the disk is full, and after two seconds where it fails.
  // InvalidArgument: no such address, folder, user or database, or no file that may be written.
  // DataLoss: a file that is no database, or a damaged one. Messages are our words, with the
  // database's in quotes.
  static absl::StatusOr<std::unique_ptr<Database>> Open(
      absl::string_view url, absl::Duration patience, Say say,
      const std::atomic<bool>* interrupted = nullptr);

  const DatabaseUrl& url() const { return url_; }
  bool sqlite() const { return url_.kind != DatabaseUrl::Kind::kPostgres; }

  // Runs `work` in a transaction that writers of the same database wait for (SQLite: all of them;
  // PostgreSQL: those that lock the same rows). It is committed if `work` returns OK, else undone.
  // While the database does not answer, all of it is done again, for `patience` as in Open, and
  // just once where that was in vain the last time: `work` must not keep what it did in a run
  // before. An error after which a commit may or may not have happened is one of these: `work` must
  // find out.
  absl::Status Transact(const Work& work);

 private:
  Database(DatabaseUrl url, absl::Duration patience, Say say, const std::atomic<bool>* interrupted)
      : url_(std::move(url)),
        patience_(patience),
        say_(std::move(say)),
        interrupted_(interrupted) {}

  bool Interrupted() const { return interrupted_ != nullptr && *interrupted_; }

  absl::Status Retry(const std::function<absl::Status()>& attempt);
  absl::Status Connect();
  absl::Status Failed(const soci::soci_error& error);

  const DatabaseUrl url_;
  const absl::Duration patience_;
  const Say say_;
  const std::atomic<bool>* const interrupted_;
  std::unique_ptr<soci::session> session_;
  absl::Duration wait_;     // How long waiting may help, after the attempt that failed last.
  absl::Duration in_vain_;  // How long it was waited for, the last time, until that was given up.
};

}  // namespace mase

#endif  // MASE_SEARCH_DATABASE_H_
