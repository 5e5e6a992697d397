// `ch --persistent_worker`: one process that does the actions of a build one after another, so that
// a small one does not pay for the start of a program (docs/ci.md). Bazel starts it so and says
// what to do on stdin (worker_protocol.proto).
#ifndef MASE_CLI_WORKER_H_
#define MASE_CLI_WORKER_H_

#include <functional>
#include <string>
#include <vector>

namespace mase {

// Does what requests on stdin say until there are no more, each with `run`, which gets the words
// behind the program's name and returns an exit code. What it prints to stdout and stderr goes into
// the response (of more than a MiB, the beginning). A limit of memory that an action sets ends with
// it.
//
// Returns the exit code of the process: 0 where stdin ended behind a request; 4 where it had no
// request (an ERROR on stderr says why); 1 where a response could not be written; 130 after an
// action that was interrupted.
int RunWorker(const std::function<int(std::vector<std::string> words)>& run);

}  // namespace mase

#endif  // MASE_CLI_WORKER_H_
