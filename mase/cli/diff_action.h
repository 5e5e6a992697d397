// `ch diff A B`: what differs between two nets, node by node and tensor by tensor.
#ifndef MASE_CLI_DIFF_ACTION_H_
#define MASE_CLI_DIFF_ACTION_H_

#include <string>
#include <vector>

namespace mase {

// The whole action; words[0] is its name. A and B are checkpoints, run directories (their best
// nets) or settings files (the net that their passes make). The exit code: 0 whether they differ or
// not, with --exit_code 1 where they do; that of the error where a net cannot be had.
int RunDiff(std::vector<std::string> words);

}  // namespace mase

#endif  // MASE_CLI_DIFF_ACTION_H_
