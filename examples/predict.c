/* Classifies rows of numbers, comma-separated on stdin, with a checkpoint that ch trained.
 *
 *   cc predict.c -o predict $(pkg-config --cflags --libs mase_predict)
 *   ./predict best.safetensors < rows.csv
 */
#include <mase_predict.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the numbers of a line; 0 if they are not `count` numbers and nothing else. */
static int read_row(char *line, float *row, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    char *end;
    row[i] = strtof(line, &end);
    if (end == line || *end != (i + 1 < count ? ',' : '\0')) return 0;
    line = end + 1;
  }
  return 1;
}

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
  char *line = NULL;
  size_t size = 0;
  for (long number = 1; getline(&line, &size, stdin) > 0; ++number) {
    int64_t best = 0;
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0') continue;
    if (row == NULL || result == NULL || !read_row(line, row, inputs)) {
      fprintf(stderr, "line %ld: not the %lld numbers that the net reads\n", number,
              (long long)inputs);
      return 1;
    }
    if (mase_predict(predictor, row, 1, result, message, sizeof message) != MASE_OK) {
      fprintf(stderr, "line %ld: %s\n", number, message);
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
  if (!feof(stdin)) {
    fprintf(stderr, "stdin: not all rows could be read\n");
    return 1;
  }
  free(line);
  free(row);
  free(result);
  mase_predictor_free(predictor);
  /* A full buffer may have been written before, and in vain. */
  if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
  fprintf(stderr, "stdout: not all classes could be written\n");
  return 1;
}
