// A small quantized net and rows for it, for tests of passes that compare it with the float net.
#ifndef MASE_TESTING_TWO_LAYERS_H_
#define MASE_TESTING_TWO_LAYERS_H_

#include "mase/graph/graph.h"
#include "mase/testing/pass_runner.h"

namespace mase {

// first (linear) -> relu -> second (linear), two values each: `first` is rounded a little, in its
// data_in, `second` a lot, in its weight.
Graph TwoLayerNet();

// 200 rows of sines, labelled 1 where the first number is the larger one.
class TwoLayerHost : public TestHost {
 public:
  explicit TwoLayerHost(bool labelled = true);
};

}  // namespace mase

#endif  // MASE_TESTING_TWO_LAYERS_H_
