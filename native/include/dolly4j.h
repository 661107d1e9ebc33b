/*
 * dolly4j.h - the native library of dolly4j: weights, KV cache and the decoder step.
 *
 * Plain C; everything Java needs crosses here and nothing else does. Rules that hold for every function:
 *   - It returns D4J_OK or another d4j_status; the text of the failure is d4j_last_error() of the same thread.
 *   - No C++ exception leaves it, whatever the arguments. Sizes, ids and pointers in structs are checked before use.
 *   - Handles come from the create functions and end with the free functions, which accept NULL.
 *   - Rows may be loaded into a model by many threads at once, and its sessions may run beside each other; finishing or
 *     freeing a model must not run beside any other call on it. A session is for one thread at a time
 *     (d4j_session_abort for any). Sessions are freed before their model.
 */
#ifndef DOLLY4J_H
#define DOLLY4J_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define D4J_API __attribute__((visibility("default")))
#else
#define D4J_API
#endif

typedef enum {
  D4J_OK = 0,
  D4J_INVALID_ARGUMENT = 1, /* the caller broke a rule stated here */
  D4J_BAD_FILE = 2, /* a weights file cannot be read or written, is too short, or holds numbers that are not finite */
  D4J_OUT_OF_MEMORY = 3,
  D4J_BACKEND_MISSING = 4, /* libtorch or the device is not available */
  D4J_BACKEND_FAILED = 5,  /* libtorch or the device refused an operation, or the device's memory is short */
  D4J_ABORTED = 6          /* d4j_session_abort ended the step */
} d4j_status;

/* Element types of tensors in files (the first three) and of weights in memory (all but float16). */
typedef enum { D4J_FLOAT32 = 0, D4J_BFLOAT16 = 1, D4J_FLOAT16 = 2, D4J_INT8 = 3, D4J_INT4 = 4 } d4j_dtype;

typedef enum { D4J_GELU_ERF = 0, D4J_GELU_TANH = 1 } d4j_activation;

typedef enum { D4J_BACKEND_LIBTORCH = 0, D4J_BACKEND_KERNELS = 1 } d4j_backend;

/* Weights of a decoder. Matrices are [output rows, input columns]; vectors count as [n, 1]. */
typedef enum {
  D4J_EMBEDDING = 0,         /* [vocab, hidden] */
  D4J_ATTENTION_NORM_WEIGHT, /* [hidden] */
  D4J_ATTENTION_NORM_BIAS,
  D4J_FFN_NORM_WEIGHT, /* [hidden]; absent when the norm is shared */
  D4J_FFN_NORM_BIAS,
  D4J_QKV_WEIGHT, /* [3 * hidden, hidden]: Q, K, V; heads in order; rotary dimensions in rotate-half order */
  D4J_QKV_BIAS,
  D4J_DENSE_WEIGHT, /* [hidden, hidden] */
  D4J_DENSE_BIAS,
  D4J_FC1_WEIGHT, /* [ffn, hidden] */
  D4J_FC1_BIAS,
  D4J_FC2_WEIGHT, /* [hidden, ffn] */
  D4J_FC2_BIAS,
  D4J_FINAL_NORM_WEIGHT, /* [hidden] */
  D4J_FINAL_NORM_BIAS,
  D4J_HEAD_WEIGHT, /* [vocab, hidden]; absent when tied */
  D4J_HEAD_BIAS,
  D4J_SLOT_COUNT
} d4j_slot;

/* Shape and traits of a decoder. Flags are 0 or 1. */
typedef struct {
  int32_t layers;
  int32_t hidden_size; /* = heads * head_size */
  int32_t heads;
  int32_t head_size;
  int32_t ffn_size;
  int32_t vocab_size;
  int32_t context_length; /* positions a sequence may have */
  int32_t rotary_dims;    /* even, 0 .. head_size */
  double rotary_base;
  double norm_epsilon;
  int32_t activation; /* d4j_activation */
  int32_t parallel_residual;
  int32_t shared_norm;
  int32_t attention_bias;
  int32_t ffn_bias;
  int32_t head_bias;
  int32_t tied_head;
} d4j_decoder_spec;

typedef struct {
  int32_t backend; /* d4j_backend */
  /*
   * D4J_FLOAT32 or D4J_BFLOAT16: weights and inputs of matmuls. With the kernels also D4J_INT8, one scale a row of a
   * matrix, or D4J_INT4, one scale for each 64 weights of a row: of the matrices of matmuls, but for the head, which is
   * int8 in either. Inputs of these are rounded to bfloat16 and then to 8 bits, with a scale for each 64; all else is
   * as with bfloat16.
   */
  int32_t weight_type;
  int32_t kv_type;     /* D4J_FLOAT32 or D4J_BFLOAT16: KV cache, and queries that are multiplied with its keys */
  int32_t cuda_device; /* ordinal of a CUDA device, or -1 for the CPU, which is the only one of the kernels */
  /* Of the kernels: */
  int32_t threads;       /* CPU threads of a step, 1 or more */
  int32_t portable_bits; /* 0 or 1: sums of bfloat16 in the order of AMX, so that every CPU gives the same bits */
} d4j_model_options;

/* A tensor in a file, and which of its rows go to which rows of a slot. Strides count elements. */
typedef struct {
  const char* name; /* for messages */
  const char* path;
  int64_t offset; /* byte of element [0, 0] in the file */
  int64_t rows;
  int64_t columns;
  int64_t row_stride;    /* >= 0 */
  int64_t column_stride; /* >= 0 */
  int32_t dtype;         /* d4j_dtype */
  int32_t slot;          /* d4j_slot */
  int32_t layer;         /* 0 for slots outside the blocks */
  int32_t run_count;
  const int32_t* runs; /* run_count triples: first source row, first slot row, number of rows */
} d4j_rows;

/* Bytes of memory; the first two on the device the model lives on. */
typedef struct {
  int64_t weight_bytes;
  int64_t block_bytes;     /* of one KV block, all layers */
  int64_t available_bytes; /* that this process may still have, page cache counted as free */
} d4j_memory;

typedef struct {
  int32_t blocks;          /* KV blocks of D4J_BLOCK_SIZE tokens */
  int32_t max_rows;        /* most rows of a step */
  int32_t max_logits_rows; /* most rows of a step that want logits */
} d4j_session_options;

/*
 * One step over a ragged batch. Row r of sequence s (sequence_starts[s] <= r < sequence_starts[s + 1]) is its token at
 * positions[r]; the rows of a sequence are its last ones, in order: positions end at context_lengths[s] - 1. Keys and
 * values of position p go to, and are read from, block block_tables[s * block_table_stride + p / 16], place p % 16.
 * Sequences may share blocks of which they only read: no two rows of a step may go to the same place.
 */
typedef struct {
  int32_t rows;
  int32_t sequences;
  int32_t block_table_stride;
  int32_t logits_count;
  const int32_t* tokens;          /* [rows] */
  const int32_t* positions;       /* [rows] */
  const int32_t* sequence_starts; /* [sequences + 1], first 0, last = rows, strictly ascending */
  const int32_t* context_lengths; /* [sequences], these rows included */
  const int32_t* block_tables;    /* [sequences, block_table_stride] */
  const int32_t* logits_rows;     /* [logits_count], rows that want logits */
  float* logits;                  /* out: [logits_count, vocab], in the order of logits_rows */
  float* hidden; /* out, or NULL: [layers + 2, rows, hidden]: embedding, output of each block, final norm */
} d4j_step;

typedef struct {
  int32_t libtorch_attached;   /* 0 or 1 */
  int32_t libtorch_threads;    /* CPU threads of libtorch, 0 while it is not attached */
  int32_t cuda_device_count;   /* as libtorch sees them; 0 without */
  const char* version;         /* of this library */
  const char* compiler;        /* that built it */
  const char* libtorch_source; /* file of the attached libtorch_cpu.so, or "" */
  const char* cpu_isa;         /* instruction set of the kernels: generic, avx2, avx512, avx512_bf16 or amx */
  int32_t packed_version;      /* of the files that d4j_model_save writes */
  int32_t cpu_cores;           /* physical cores that this process may run on; 0 if the system does not say */
} d4j_build_info;

typedef struct d4j_model d4j_model;
typedef struct d4j_session d4j_session;

#define D4J_BLOCK_SIZE 16
#define D4J_PACKED_KEY_LENGTH 64

/* Text of the last failure of this thread, UTF-8, "" before the first; valid until the next call of this thread. */
D4J_API const char* d4j_last_error(void);

/* Fails if the environment variable DOLLY4J_ISA names no instruction set of this CPU. */
D4J_API d4j_status d4j_get_build_info(d4j_build_info* info);

/*
 * Sets the threads libtorch will use; has an effect only before it is loaded, and yields to an OMP_NUM_THREADS that the
 * user has set.
 */
D4J_API d4j_status d4j_libtorch_set_threads(int32_t threads);

/*
 * Binds every thread that the kernels start from now on to a CPU of its own; the threads that call steps are left as
 * they are. Good for a machine that does nothing else, bad for all others.
 */
D4J_API d4j_status d4j_bind_threads(void);

/*
 * Takes hold of libtorch: of the libtorch_cpu.so that is loaded in this process already (directory NULL), or of the
 * one in a directory, such as torch/lib of a Python package. Later calls do nothing. Names the symbol that is missing
 * from a libtorch older than 2.10.
 */
D4J_API d4j_status d4j_libtorch_attach(const char* directory);

/* Fails with D4J_OUT_OF_MEMORY if this process cannot have the memory that the weights take while they are loaded. */
D4J_API d4j_status d4j_model_create(const d4j_decoder_spec* spec, const d4j_model_options* options, d4j_model** model);

/*
 * Makes a model whose rows are all loaded: it maps a file that d4j_model_save wrote for the same spec, options and
 * key. Only of the kernels. Its weights are page cache: processes share them, and the system may drop and read them
 * again, so they count as no memory that this process must have. Fails with D4J_BAD_FILE if there is no such file, if
 * it is damaged, cut off, or for another spec, type, version or key, or if others than this user and root can change
 * it.
 */
D4J_API d4j_status d4j_model_map(const d4j_decoder_spec* spec, const d4j_model_options* options, const char* path,
                                 const char* key, d4j_model** model);

/*
 * Fails with D4J_OUT_OF_MEMORY if this process cannot have the memory of weights and so many KV blocks. To be asked
 * before the rows are loaded: what is loaded already counts as taken.
 */
D4J_API d4j_status d4j_model_check_memory(const d4j_model* model, int32_t blocks);

/*
 * Observes some of the rows, which are as for d4j_model_load_rows, before any are loaded: what the literature on
 * quantisation calls calibration, of the weights alone, without running the model. int8 and int4 lose less if all rows
 * of the blocks' norms, and of the matrices behind them, were observed. It may be called for all other rows and types
 * too, and does nothing with them but to check the arguments. Thread-safe. Fails with D4J_BAD_FILE as loading does, and
 * with D4J_INVALID_ARGUMENT if rows of the same norm, or of a matrix behind it, are loaded already.
 */
D4J_API d4j_status d4j_model_observe_rows(d4j_model* model, const d4j_rows* rows);

/*
 * Copies rows of a tensor in a file into a slot, converting to the slot's type: norms are float32, all else is as
 * weight_type says (rounded to nearest even). Each row of a slot is loaded once; those of a call that fails count as
 * not loaded.
 */
D4J_API d4j_status d4j_model_load_rows(d4j_model* model, const d4j_rows* rows);

/*
 * Writes the weights of a model of the kernels to a file, which must be no file that is mapped, and waits until it is
 * on the disk; then gives the memory of the weights up and maps the file in its place. All rows are loaded, and the
 * model is not finished yet. The key, D4J_PACKED_KEY_LENGTH characters, says what they were made of, and the
 * description what is to be known of the file: of both only the key is checked. After D4J_BAD_FILE, with the system's
 * reason, or D4J_OUT_OF_MEMORY the file is not to be used by others, nor written again: the model, which can be
 * finished all the same, may hold a part of it.
 */
D4J_API d4j_status d4j_model_save(d4j_model* model, const char* path, const char* key, const char* description);

/*
 * Ends loading; needed before sessions. Fails and names the slot if one lacks rows; after a failure of any kind the
 * rest may be loaded, or libtorch attached, and finishing tried again.
 */
D4J_API d4j_status d4j_model_finish(d4j_model* model);

D4J_API d4j_status d4j_model_memory(const d4j_model* model, d4j_memory* memory);

D4J_API void d4j_model_free(d4j_model* model);

/* Fails with D4J_OUT_OF_MEMORY if this process cannot have the memory of the cache. */
D4J_API d4j_status d4j_session_create(d4j_model* model, const d4j_session_options* options, d4j_session** session);

/* After a failure of the backend or an abort, what the cache holds for the step's own rows is undefined. */
D4J_API d4j_status d4j_session_step(d4j_session* session, const d4j_step* step);

/* Copies a KV block, all layers. */
D4J_API d4j_status d4j_session_copy_block(d4j_session* session, int32_t source, int32_t target);

/*
 * Makes the running step, or the next one if none runs, end with D4J_ABORTED at its next layer. A step that is in its
 * last layer is completed; the next one ends then.
 */
D4J_API void d4j_session_abort(d4j_session* session);

D4J_API void d4j_session_free(d4j_session* session);

#ifdef __cplusplus
}
#endif

#endif
