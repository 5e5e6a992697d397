#include "mase/cli/main.h"
#include "mase/cli/transform_action.h"

int main(int argc, char** argv) { return mase::Main(*mase::MakeTransformAction(), argc, argv); }
