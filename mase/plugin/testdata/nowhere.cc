// A library of a plugin's own, beside it and not in it.
extern "C" __attribute__((visibility("default"))) const void* mase_nowhere(void) { return nullptr; }
