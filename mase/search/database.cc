#include "mase/search/database.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(2);
constexpr absl::Duration kListen = absl::Milliseconds(20);  // For interrupts, while it waits.
constexpr absl::Duration kSayAgain = absl::Seconds(15);

// For how long an error may be one that passes: a lock of other workers or a server that starts
// again for as long as the user has patience, a disk that could not be read just now for a moment.
enum class Wait { kNever, kBriefly, kPatiently };
constexpr absl::Duration kBriefly = absl::Seconds(2);

// What databases say, and what we say instead. The first that is found counts.
struct Reason {
  absl::string_view theirs;
  absl::StatusCode code;
  Wait wait;
  absl::string_view ours;
  absl::string_view advice;
};

constexpr absl::StatusCode kWrong = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kGone = absl::StatusCode::kUnavailable;
constexpr absl::string_view kWriteUrl = "write postgresql://USER:PASSWORD@HOST:PORT/NAME";

constexpr Reason kReasons[] = {
    {"file is not a database", kDamaged, Wait::kNever, "is no database of SQLite",
     "name another file, or move it away"},
    {"malformed", kDamaged, Wait::kNever, "is damaged",
     "name another file; sqlite3's .recover may save what is left of this one"},
    {"disk is full", kGone, Wait::kNever, "the disk is full",
     "free some space, and give the same command again"},
    {"disk I/O error", kGone, Wait::kBriefly, "the disk does not read or write it",
     "is it full, or failing? Then give the same command again"},
    {"readonly database", kWrong, Wait::kNever, "may not be written to",
     "change its permissions, or name another file"},
    {"unable to open database file", kWrong, Wait::kNever, "cannot be opened",
     "look at the permissions of file and folder, or name another file"},
    {"authentication failed", kWrong, Wait::kNever, "the server does not let this user in",
     "look at user and password"},
    {"no password supplied", kWrong, Wait::kNever, "the server wants a password", kWriteUrl},
    {"does not exist", kWrong, Wait::kNever, "the server does not have it",
     "look at the names of user and database"},
    {"permission denied", kWrong, Wait::kNever, "the server does not permit it to this user",
     "grant it, or name another user"},
    {"invalid URI", kWrong, Wait::kNever, "is no address of a server", kWriteUrl},
    {"invalid connection", kWrong, Wait::kNever, "is no address of a server", kWriteUrl},
    {"missing \"=\"", kWrong, Wait::kNever, "is no address of a server", kWriteUrl},
    {"is locked", kGone, Wait::kPatiently, "another process keeps it", ""},
    {"cannot rollback", kGone, Wait::kPatiently, "another process keeps it", ""},
    {"could not serialize", kGone, Wait::kPatiently, "another process keeps it", ""},
    {"deadlock detected", kGone, Wait::kPatiently, "another process keeps it", ""},
    {"too many clients", kGone, Wait::kPatiently, "the server has too many clients", ""},
    {"connect", kGone, Wait::kPatiently, "the server does not answer", ""},
    {"the database system is", kGone, Wait::kPatiently, "the server does not answer", ""},
    {"terminating", kGone, Wait::kPatiently, "the server does not answer", ""},
    {"server closed", kGone, Wait::kPatiently, "the server does not answer", ""},
    {"could not translate host name", kGone, Wait::kPatiently, "the server is not found", ""},
    {"timeout expired", kGone, Wait::kPatiently, "the server does not answer", ""},
};
constexpr Reason kOfConnections = {"", kGone, Wait::kPatiently, "does not answer", ""};
constexpr Reason kOther = {"", absl::StatusCode::kInternal, Wait::kNever,
                           "does not do what it is asked", ""};

const Reason& ReasonOf(const soci::soci_error& error) {
  const std::string message = error.get_error_message();
  for (const Reason& reason : kReasons) {
    if (absl::StrContains(message, reason.theirs)) return reason;
  }
  const bool connection = error.get_error_category() == soci::soci_error::connection_error;
  return connection ? kOfConnections : kOther;
}

// The words of the database itself in what SOCI says: of connections they are behind a sentence,
// often in the next line, and elsewhere behind the name of a function.
std::string WordsOf(absl::string_view message) {
  absl::ConsumePrefix(&message, "Cannot establish connection to the database.");
  const size_t function = message.find("::");
  if (function < message.find(' ')) message.remove_prefix(message.find(' ', function));
  message = absl::StripLeadingAsciiWhitespace(message);
  const std::string words(absl::StripAsciiWhitespace(message.substr(0, message.find('\n'))));
  return words.empty() ? "no reason given" : words;
}

// "sqlite:///study.db: is damaged ("database disk image is malformed"); name another file".
absl::Status StatusOf(const Reason& reason, absl::string_view words, const DatabaseUrl& url) {
  return absl::Status(reason.code, absl::StrCat(url.text, ": ", reason.ours, " (\"", words, "\")",
                                                reason.advice.empty() ? "" : "; ", reason.advice));
}

// The file that is to be opened or made can be, as far as one sees without touching it: to close a
// file would give up the locks that this process has on it by other connections.
absl::Status CheckFile(absl::string_view file) {
  const std::string name(file);
  const auto refuse = [&](auto... words) {
    return absl::InvalidArgumentError(absl::StrCat("sqlite:///", file, ": ", words...));
  };
  const size_t slash = file.rfind('/');
  const std::string folder(file.substr(0, slash == absl::string_view::npos ? 0 : slash));
  struct stat info;
  if (!folder.empty() && (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))) {
    return refuse("the folder ", folder, " does not exist");
  }
  if (stat(name.c_str(), &info) != 0) return absl::OkStatus();  // To be made.
  if (S_ISDIR(info.st_mode)) return refuse("is a folder; name a file");
  if (!S_ISREG(info.st_mode)) return refuse("is no regular file; name one");
  if (access(name.c_str(), R_OK | W_OK) == 0) return absl::OkStatus();
  return refuse("may not be read and written; change its permissions, or name another file");
}

// A value within a connection text of SOCI.
std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// "%40" is "@". False for what is no such code, and for what a connection text cannot have.
bool Decode(absl::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) ||
          !absl::ascii_isxdigit(text[i + 2])) {
        return false;
      }
      c = absl::HexStringToBytes(text.substr(i + 1, 2))[0];
      i += 2;
    }
    if (absl::ascii_isspace(c) || absl::ascii_iscntrl(c) || c == '\'' || c == '\\') return false;
    out += c;
  }
  return true;
}

// USER:PASSWORD@HOST:PORT/NAME?KEY=VALUE&..., all but NAME optional, as keys of libpq.
absl::StatusOr<DatabaseUrl> ParsePostgres(absl::string_view rest) {
  std::string user, password, host, port, name, connect;
  std::string shown = absl::StrCat("postgresql://", rest);
  const absl::string_view path = rest.substr(std::min(rest.find('/'), rest.size()));
  absl::string_view server = rest.substr(0, rest.size() - path.size());
  const size_t at = server.rfind('@');
  bool good = true;
  if (at != absl::string_view::npos) {
    const absl::string_view who = server.substr(0, at);
    server.remove_prefix(at + 1);
    const size_t secret = who.find(':');
    good = Decode(who.substr(0, secret), user);
    if (secret != absl::string_view::npos) {
      good = good && Decode(who.substr(secret + 1), password);
      shown = absl::StrCat("postgresql://", who.substr(0, secret), ":***@", server, path);
    }
  }
  const size_t end = server.rfind(']');  // Of an address of IPv6.
  const size_t port_at = server.rfind(':');
  const bool has_port =
      port_at != absl::string_view::npos && (end == absl::string_view::npos || port_at > end);
  if (has_port) {
    good = good && Decode(server.substr(port_at + 1), port);
    server = server.substr(0, port_at);
  }
  if (absl::ConsumePrefix(&server, "[")) absl::ConsumeSuffix(&server, "]");
  good = good && Decode(server, host);
  const size_t question = std::min(path.find('?'), path.size());
  if (question > 0) good = good && Decode(path.substr(1, question - 1), name);
  const std::pair<absl::string_view, const std::string*> keys[] = {{"host", &host},
                                                                   {"port", &port},
                                                                   {"user", &user},
                                                                   {"password", &password},
                                                                   {"dbname", &name}};
  for (const auto& [key, value] : keys) {
    if (!value->empty()) absl::StrAppend(&connect, key, "=", *value, " ");
  }
  if (question < path.size()) {
    for (absl::string_view option : absl::StrSplit(path.substr(question + 1), '&')) {
      std::string text;
      good = good && Decode(option, text) && absl::StrContains(text, '=');
      absl::StrAppend(&connect, text, " ");
    }
  }
  // A host that drops packets, or goes away, would keep an attempt or a statement for minutes, and
  // interrupts from being heard.
  for (const absl::string_view limit :
       {"connect_timeout=5", "tcp_user_timeout=15000", "keepalives_idle=5", "keepalives_interval=5",
        "keepalives_count=3"}) {
    const absl::string_view key = limit.substr(0, limit.find('=') + 1);
    if (!absl::StrContains(connect, key)) absl::StrAppend(&connect, limit, " ");
  }
  if (!good || name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", shown, "' is no storage; write postgresql://USER:PASSWORD@HOST:PORT/NAME"));
  }
  return DatabaseUrl{DatabaseUrl::Kind::kPostgres, shown, connect};
}

}  // namespace

absl::StatusOr<DatabaseUrl> ParseDatabaseUrl(absl::string_view url) {
  constexpr absl::string_view kSqliteFile = "sqlite:///";
  if (url.empty() || url == "sqlite://" || url == "sqlite:///:memory:") {
    return DatabaseUrl{DatabaseUrl::Kind::kMemory, "database in memory", "dbname=:memory:"};
  }
  if (absl::StartsWith(url, kSqliteFile) && url.size() > kSqliteFile.size()) {
    const absl::string_view file = url.substr(kSqliteFile.size());
    if (absl::StrContains(file, '"')) {
      return absl::InvalidArgumentError(absl::StrCat(url, ": a file name with quotes"));
    }
    return DatabaseUrl{DatabaseUrl::Kind::kSqlite, std::string(url),
                       absl::StrCat("dbname=", Quoted(file), " timeout=1"), std::string(file)};
  }
  const size_t colon = url.find("://");
  const absl::string_view scheme = url.substr(0, colon);
  if (colon != absl::string_view::npos &&
      (scheme == "postgresql" || scheme == "postgres" || absl::StartsWith(scheme, "postgresql+"))) {
    return ParsePostgres(url.substr(colon + 3));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", url, "' is no storage; use sqlite:///FILE or postgresql://USER@HOST/NAME"));
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(absl::string_view url,
                                                         absl::Duration patience, Say say,
                                                         const std::atomic<bool>* interrupted) {
  MASE_ASSIGN_OR_RETURN(DatabaseUrl parsed, ParseDatabaseUrl(url));
  if (parsed.kind == DatabaseUrl::Kind::kSqlite) {
    MASE_RETURN_IF_ERROR(CheckFile(parsed.file));
  }
  std::unique_ptr<Database> database(
      new Database(std::move(parsed), patience, std::move(say), interrupted));
  MASE_RETURN_IF_ERROR(database->Retry([&] { return database->Connect(); }));
  return database;
}

absl::Status Database::Connect() {
  if (session_ != nullptr) return absl::OkStatus();
  try {
    auto session = std::make_unique<soci::session>();
    if (sqlite()) {
      session->open("sqlite3", url_.connect);
      // A commit survives the death of the process without waiting for the disk; one after the
      // death of the machine may be gone, and none is half done.
      if (url_.kind == DatabaseUrl::Kind::kSqlite) *session << "PRAGMA journal_mode=WAL";
      *session << "PRAGMA synchronous=NORMAL";
    } else {
      session->open("postgresql", url_.connect);
      // A worker that is gone with its machine must not keep the others waiting for its locks.
      *session << "SET idle_in_transaction_session_timeout = '60s'";
    }
    session_ = std::move(session);
    return absl::OkStatus();
  } catch (const soci::soci_error& error) {
    return Failed(error);
  } catch (const std::exception& error) {
    return StatusOf(kOther, error.what(), url_);
  }
}

absl::Status Database::Failed(const soci::soci_error& error) {
  const Reason& reason = ReasonOf(error);
  wait_ = reason.wait == Wait::kNever     ? absl::ZeroDuration()
          : reason.wait == Wait::kBriefly ? std::min(kBriefly, patience_)
                                          : patience_;
  return StatusOf(reason, WordsOf(error.get_error_message()), url_);
}

absl::Status Database::Transact(const Work& work) {
  return Retry([&]() -> absl::Status {
    MASE_RETURN_IF_ERROR(Connect());
    absl::Status status;
    try {
      *session_ << (sqlite() ? "BEGIN IMMEDIATE" : "BEGIN");
      status = work(*session_);
      *session_ << (status.ok() ? "COMMIT" : "ROLLBACK");
      return status;
    } catch (const soci::soci_error& error) {
      status = Failed(error);
    } catch (const std::exception& error) {
      status = StatusOf(kOther, error.what(), url_);
    }
    try {
      *session_ << "ROLLBACK";
    } catch (const std::exception&) {
      // No transaction was begun, or the connection is gone: the next attempt opens another.
      if (url_.kind != DatabaseUrl::Kind::kMemory) session_.reset();
    }
    return status;
  });
}

absl::Status Database::Retry(const std::function<absl::Status()>& attempt) {
  const absl::Time begin = absl::Now();
  absl::Time said = absl::InfinitePast();
  for (absl::Duration pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    wait_ = patience_;
    const absl::Status status = attempt();
    if (!absl::IsUnavailable(status)) {
      in_vain_ = absl::ZeroDuration();
      return status;
    }
    if (wait_ == absl::ZeroDuration()) return status;
    const absl::Duration waited = absl::Now() - begin;
    if (waited >= wait_ || in_vain_ > absl::ZeroDuration()) {
      in_vain_ = std::max(in_vain_, waited);
      return absl::UnavailableError(
          absl::StrCat(status.message(), " (gave up after ",
                       absl::FormatDuration(absl::Floor(in_vain_, absl::Seconds(1))), ")"));
    }
    if (say_ && absl::Now() - said >= kSayAgain) {
      said = absl::Now();
      say_(absl::StrCat(status.message(), "; waiting up to ", absl::FormatDuration(wait_)));
    }
    const absl::Time until = absl::Now() + std::min(pause, wait_ - waited);
    while (absl::Now() < until && !Interrupted()) absl::SleepFor(kListen);
    if (Interrupted()) {
      return absl::CancelledError(
          absl::StrCat("interrupted while waiting for the database: ", status.message()));
    }
  }
}

}  // namespace mase
