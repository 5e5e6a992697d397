/* A trained net as a function from rows to results, for C and whatever calls C.
 *
 *   char message[256];
 *   float in[16], out[5];
 *   mase_predictor *p;
 *   if (mase_predictor_load("best.safetensors", MASE_INTEGER, &p, message, 256) != MASE_OK)
 *     return fail(message);
 *   mase_predict(p, in, 1, out, message, 256);
 *   mase_predictor_free(p);
 *
 * Build with: cc program.c $(pkg-config --cflags --libs mase_predict)
 *
 * Every function may be called from any number of threads at once, with the same predictor too, but
 * for mase_predictor_free, which must be the last call for its predictor. No function prints, exits
 * or throws. Strings are UTF-8 and end in a zero byte.
 */
#ifndef MASE_PREDICT_MASE_PREDICT_H_
#define MASE_PREDICT_MASE_PREDICT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a function returns; there are no others. The numbers are those of absl::StatusCode and stay
 * as they are. */
enum {
  MASE_OK = 0,
  MASE_INVALID_ARGUMENT = 3,   /* An argument or a net that does not fit. */
  MASE_NOT_FOUND = 5,          /* There is no such file. */
  MASE_RESOURCE_EXHAUSTED = 8, /* A limit of sizes, or memory. */
  MASE_OUT_OF_RANGE = 11,      /* A NaN where a number format has no code for it; the message has
                                  its row, and its place in the row, both from 0. */
  MASE_UNIMPLEMENTED = 12,     /* An op that this build cannot run. */
  MASE_INTERNAL = 13,          /* A fault of this library. */
  MASE_UNAVAILABLE = 14,       /* The file cannot be read now: an I/O error, too many open files, it
                                  changed meanwhile. Another try may do. */
  MASE_DATA_LOSS = 15          /* The file is truncated or damaged. */
};

/* How the parts of a net that were quantized are computed. */
enum {
  MASE_FLOAT = 0,     /* As if they were not. */
  MASE_SIMULATED = 1, /* Numbers are rounded to their formats, arithmetic is float32. */
  MASE_INTEGER = 2    /* In whole numbers where formats allow it, else simulated. */
};

typedef struct mase_predictor mase_predictor;

/* Reads a checkpoint that ch wrote; *predictor is the caller's to free. On failure *predictor is
 * null and, as with all functions that take them, `message` says what is wrong: at most
 * `message_size` bytes with the zero, and of UTF-8 whole characters. Control characters, and bytes
 * of a path that are not UTF-8, are spelled in it: "\xff". It may be null. */
int mase_predictor_load(const char* path, int execution, mase_predictor** predictor, char* message,
                        size_t message_size);

/* Frees a predictor; null is fine. */
void mase_predictor_free(mase_predictor* predictor);

/* Numbers of a row that go in and come out; 0 of a null predictor. */
int64_t mase_predictor_inputs(const mase_predictor* predictor);
int64_t mase_predictor_outputs(const mase_predictor* predictor);

/* The name of input or class `index`; null where the checkpoint has none, and of a null predictor.
 * Valid until the predictor is freed. */
const char* mase_predictor_feature_name(const mase_predictor* predictor, int64_t index);
const char* mase_predictor_class_name(const mase_predictor* predictor, int64_t index);

/* Writes the results of `rows` rows, [rows, outputs], given their numbers as the data file has
 * them, [rows, inputs]; both row-major. They are scaled as the training scaled them. Allocates
 * nothing after a thread's first call with as many rows. On failure `out` is unspecified. */
int mase_predict(const mase_predictor* predictor, const float* in, int64_t rows, float* out,
                 char* message, size_t message_size);

#ifdef __cplusplus
}
#endif

#endif
