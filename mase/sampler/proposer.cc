#include "mase/sampler/proposer.h"

namespace mase {

Proposer::~Proposer() = default;

}  // namespace mase
