#include "mase/cli/main.h"
#include "mase/cli/train_action.h"

int main(int argc, char** argv) { return mase::Main(*mase::MakeTrainAction(), argc, argv); }
