#include "mase/cli/main.h"
#include "mase/cli/test_action.h"

int main(int argc, char** argv) { return mase::Main(*mase::MakeTestAction(), argc, argv); }
