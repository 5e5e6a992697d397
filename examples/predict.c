/* Classifies rows of numbers, comma-separated on stdin, with a checkpoint that ch trained.
 *
 *   cc predict.c -o predict $(pkg-config --cflags --libs mase_predict)
 *   ./predict best.safetensors < rows.csv
 */
#include <mase_predict.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  char message[512];
  mase_predictor *predictor;
  if (argc != 2) {
    fprintf(stderr, "usage: predict CHECKPOINT < ROWS\n");
    return 2;
  }
  if (mase_predictor_load(argv[1], MASE_INTEGER, &predictor, message, sizeof message) != MASE_OK) {
    fprintf(stderr, "%s\n", message);
    return 1;
  }
  const int64_t inputs = mase_predictor_inputs(predictor);
  const int64_t outputs = mase_predictor_outputs(predictor);
  float *row = malloc(inputs * sizeof *row), *result = malloc(outputs * sizeof *result);
  while (row != NULL && result != NULL) {
    int64_t read = 0, best = 0;
    while (read < inputs && scanf(read > 0 ? ",%f" : "%f", &row[read]) == 1) ++read;
    if (read < inputs) break;
    if (mase_predict(predictor, row, 1, result, message, sizeof message) != MASE_OK) {
      fprintf(stderr, "%s\n", message);
      return 1;
    }
    for (int64_t i = 1; i < outputs; ++i) {
      if (result[i] > result[best]) best = i;
    }
    const char *name = mase_predictor_class_name(predictor, best);
    if (name != NULL) {
      printf("%s\n", name);
    } else {
      printf("%lld\n", (long long)best);
    }
  }
  free(row);
  free(result);
  mase_predictor_free(predictor);
  return 0;
}
