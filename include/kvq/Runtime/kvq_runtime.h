/*===- kvq_runtime.h - Launches the kernels of an artefact ------*- C -*-===*\
|*                                                                            *|
|* Part of the kvq project, under the Apache License v2.0 with LLVM           *|
|* Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception        *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The C interface of kvq's runtime: opens a directory that `kvqc compile`    *|
|* wrote, loads its code for one device, and launches its kernels. Valid C99  *|
|* and C++. docs/runtime.md tells the story; kvq/Runtime/Runtime.h wraps it   *|
|* for C++17.                                                                 *|
|*                                                                            *|
|* Every function may be called from any thread at any time, but for          *|
|* kvq_close, after which neither the artefact nor what came from it may be   *|
|* used. Texts that a function gives belong to the artefact and live as long  *|
|* as it does.                                                                *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef KVQ_RUNTIME_KVQ_RUNTIME_H
#define KVQ_RUNTIME_KVQ_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KVQ_API __attribute__((visibility("default")))
#else
#define KVQ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version of this interface. A library of the same version serves every
 * program that was compiled against it: functions and status codes are only
 * added, and structs that begin with `size` only grow at their end. A program
 * sets `size` to its own sizeof, and the library touches no more than that.
 */
#define KVQ_RUNTIME_ABI_VERSION 1

/** The KVQ_RUNTIME_ABI_VERSION of the library. */
KVQ_API uint32_t kvq_runtime_abi_version(void);

/** The release of the library, e.g. "0.1.0". */
KVQ_API const char *kvq_runtime_version(void);

/*===----------------------------------------------------------------------===*\
|* Errors
\*===----------------------------------------------------------------------===*/

/** What a function ended with: KVQ_OK or one of the codes below. */
typedef int32_t kvq_status;

enum {
  KVQ_OK = 0,
  /** A null or nonsensical argument of the function itself. */
  KVQ_ERROR_ARGUMENT = 1,
  /** The directory is not an artefact, or is damaged or hostile. */
  KVQ_ERROR_ARTEFACT = 2,
  /** No such device, or its driver library is not there. */
  KVQ_ERROR_DEVICE = 3,
  /** The directory holds no code for the device. */
  KVQ_ERROR_NO_CODE = 4,
  /** No layer, operation or argument of that name. */
  KVQ_ERROR_NOT_FOUND = 5,
  /** Geometry, an alignment or a stride that no kernel was made for. */
  KVQ_ERROR_UNFIT = 6,
  /** A call of the driver failed; kvq_error::driver_code is its code. */
  KVQ_ERROR_DRIVER = 7,
  KVQ_ERROR_OUT_OF_MEMORY = 8
};

/**
 * What went wrong, written where a function fails and left alone where it does
 * not. Every function takes null in its place.
 */
typedef struct kvq_error {
  kvq_status status;
  /** The CUresult or hipError_t of KVQ_ERROR_DRIVER, else 0. */
  int32_t driver_code;
  /** One line, without a period; what is too long is cut and ends in "...". */
  char message[2040];
} kvq_error;

/*===----------------------------------------------------------------------===*\
|* Artefacts
\*===----------------------------------------------------------------------===*/

/** Where kernels run. */
typedef int32_t kvq_device_kind;

enum {
  /**
   * The first of CUDA, HIP and the host that this machine has and the directory
   * has code for.
   */
  KVQ_DEVICE_AUTO = 0,
  KVQ_DEVICE_HOST = 1,
  KVQ_DEVICE_CUDA = 2,
  KVQ_DEVICE_HIP = 3
};

/** The device that is current on the calling thread. */
#define KVQ_CURRENT_DEVICE (-1)

enum {
  /**
   * Lets the driver compile PTX where no cubin fits. It takes the driver from
   * milliseconds to seconds, at kvq_open.
   */
  KVQ_OPEN_ALLOW_PTX = 1
};

/** Options of kvq_open; all zero but `size` and `ordinal` is the usual choice. */
typedef struct kvq_open_options {
  /** sizeof(kvq_open_options). */
  size_t size;
  kvq_device_kind device_kind;
  /** The driver's number of the device, or KVQ_CURRENT_DEVICE. */
  int32_t ordinal;
  /** Sum of KVQ_OPEN_… */
  uint32_t flags;
  /** Takes this target of the directory ("sm_80") or none; null: the best. */
  const char *target;
} kvq_open_options;

/** An opened directory, its code loaded for one device. Immutable. */
typedef struct kvq_artefact kvq_artefact;

/**
 * Opens `directory` and loads its code for a device. Schema, paths and hashes
 * are checked, and the bytes that were hashed are the bytes that are loaded.
 * `options` may be null: the device is chosen, as KVQ_DEVICE_AUTO.
 *
 * CUDA: code is loaded into the current context where it is the device's, else
 * into the device's primary context, which stays retained until kvq_close. A
 * cubin for exactly this chip is taken, else that of the highest lower minor
 * version of the same major one, else, with KVQ_OPEN_ALLOW_PTX, PTX of the
 * highest chip that is not above the device. HIP: only code for exactly this
 * chip, whatever stands behind the colons of its name. All of the code is loaded
 * here, so that launches neither load, allocate nor synchronise.
 *
 * On failure `*artefact` is null and nothing stays loaded.
 */
KVQ_API kvq_status kvq_open(const char *directory, const kvq_open_options *options,
                            kvq_artefact **artefact, kvq_error *error);

/**
 * Unloads the code and frees everything that came from `artefact`; null is
 * allowed. The caller has waited for the kernels that it launched, and destroyed
 * the graphs that hold them.
 */
KVQ_API void kvq_close(kvq_artefact *artefact);

/** What kvq_open chose. */
typedef struct kvq_artefact_info {
  size_t size;
  /** The directory, as it was given. */
  const char *directory;
  /** The target and its backend ("nvvm", "rocdl", "host"). */
  const char *target, *backend;
  /** The file that was loaded and its kind ("cubin", "ptx", "hsaco", "shared_object"). */
  const char *file, *file_kind;
  /** The cache's element type ("f8E4M3FNUZ"); null where layers differ. */
  const char *cache_type;
  /** Whether the target's FP8 formats are the fnuz ones. */
  int32_t fnuz;
  kvq_device_kind device_kind;
  /** The driver's number of the device, 0 for the host. */
  int32_t ordinal;
  /** The device's chip and its name, e.g. "sm_90" and "NVIDIA H100". */
  const char *device_chip, *device_name;
  size_t num_layers;
  int64_t tensor_parallel_size;
} kvq_artefact_info;

KVQ_API kvq_status kvq_artefact_describe(const kvq_artefact *artefact, kvq_artefact_info *info,
                                         kvq_error *error);

/** A layer as the artefact's target has it. */
typedef struct kvq_layer_info {
  size_t size;
  const char *name;
  /** Its index in the model. */
  int64_t index;
  /** The resolved scales q, k, v, prob; of one per KV head a NaN. */
  float scales[4];
  int32_t calculate_kv_scales;
  /** The operations that it has kernels for. */
  size_t num_ops;
  const char *const *ops;
  /** In the same order, the numbers of the KV heads of a scale per head; null and 0 of others. */
  const float *head_scales[4];
  size_t num_head_scales[4];
} kvq_layer_info;

/** Describes the layer at `position`, below num_layers, in the manifest's order. */
KVQ_API kvq_status kvq_layer_describe(const kvq_artefact *artefact, size_t position,
                                      kvq_layer_info *info, kvq_error *error);

/** The position of the layer of that name. */
KVQ_API kvq_status kvq_layer_find(const kvq_artefact *artefact, const char *name, size_t *position,
                                  kvq_error *error);

/*===----------------------------------------------------------------------===*\
|* Kernels
\*===----------------------------------------------------------------------===*/

/** The kernels of one operation of one layer. Immutable; owned by the artefact. */
typedef struct kvq_kernel kvq_kernel;

/** What the caller's tensors are; a kernel that was not made for it is refused. */
typedef struct kvq_geometry {
  size_t size;
  /** Null: any. */
  const char *layout, *source_type, *cache_type;
  /** 0: any. */
  int64_t num_kv_heads, head_size, block_size;
} kvq_geometry;

/**
 * Finds the kernels of an operation ("store") of a layer: done once, before
 * launches. `geometry` may be null. Where the directory has several kernels that
 * do the same for the layer and differ in layout, block size or the alignments
 * that they need, those that `geometry` fits are kept; each launch takes the most
 * demanding one whose alignments its arguments meet. The same question gives the
 * same kernel.
 *
 * Where the layer has kernels with its scales folded and others that take them
 * (compiled with `--scales both`), the scales are the last arguments, and may be
 * null: a launch with null for all of them, or without their values, takes a folded
 * kernel, one with pointers a kernel that reads them. So a caller whose scales are
 * those of kvq_layer_info passes none.
 */
KVQ_API kvq_status kvq_kernel_find(const kvq_artefact *artefact, const char *layer, const char *op,
                                   const kvq_geometry *geometry, const kvq_kernel **kernel,
                                   kvq_error *error);

/** The most demanding of the kernels that a launch may take, a folded one if there is one. */
typedef struct kvq_kernel_info {
  size_t size;
  const char *layer, *op, *symbol, *layout, *source_type, *cache_type;
  int64_t num_kv_heads, head_size, block_size;
  /** With the scales that launches may leave out. */
  size_t num_arguments, num_scales;
  /** How many kernels a launch chooses from. */
  size_t num_variants;
} kvq_kernel_info;

KVQ_API kvq_status kvq_kernel_describe(const kvq_kernel *kernel, kvq_kernel_info *info,
                                       kvq_error *error);

/** The type of an argument. */
typedef int32_t kvq_type;

enum { KVQ_TYPE_PTR = 0, KVQ_TYPE_I64 = 1, KVQ_TYPE_I32 = 2 };

/** An argument, as the least demanding of the kernels takes it. */
typedef struct kvq_argument_info {
  size_t size;
  const char *name;
  kvq_type type;
  /** A pointer is a multiple of so many bytes, a scalar of `divisible` elements. */
  int64_t align, divisible;
  /** Whether a pointer may be null. */
  int32_t nullable;
} kvq_argument_info;

/** Describes the argument at `index`, below num_arguments, in the kernel's order. */
KVQ_API kvq_status kvq_kernel_argument(const kvq_kernel *kernel, size_t index,
                                       kvq_argument_info *info, kvq_error *error);

/** The index of the argument of that name: done once, before launches. */
KVQ_API kvq_status kvq_kernel_argument_index(const kvq_kernel *kernel, const char *name,
                                             size_t *index, kvq_error *error);

/** A scale that the kernel uses. */
typedef struct kvq_scale_info {
  size_t size;
  /** "k", "v", "q" or "prob". */
  const char *name;
  /** How it is applied ("multiply"); "argument" where the caller gives it. */
  const char *method;
  /** The folded numbers, one or one for each KV head; none with "argument". */
  const float *values;
  size_t num_values;
} kvq_scale_info;

/** Describes the scale at `index`, below num_scales. */
KVQ_API kvq_status kvq_kernel_scale(const kvq_kernel *kernel, size_t index, kvq_scale_info *info,
                                    kvq_error *error);

/*===----------------------------------------------------------------------===*\
|* Launches
\*===----------------------------------------------------------------------===*/

/** Kernels with more arguments are refused by kvq_open. */
#define KVQ_MAX_ARGUMENTS 64

/**
 * The value of an argument, 8 bytes. An i32 is given as an i64 in its range.
 * Arrays of it are the argument structs of `kvq_kernels.h` in the same order, as
 * far as these have no i32.
 */
typedef union kvq_value {
  const void *ptr;
  int64_t i64;
} kvq_value;

/**
 * Launches a kernel on `stream`, a CUstream or hipStream_t (null: the driver's
 * default stream; of the host, which returns when it is done, no matter).
 * `values` are its `num_values` == num_arguments arguments in order, and may be
 * changed as soon as the function returns.
 *
 * A launch without work (num_tokens, num_rows or num_columns at most 0, or
 * num_blocks of an operation that has none of these) does nothing and looks at no
 * pointer. A null or
 * misaligned pointer, a stride that is not `divisible`, an i32 out of range and a
 * grid that the device does not take are KVQ_ERROR_UNFIT, and nothing is launched.
 *
 * There is no allocation, no lock, no look-up and no synchronisation here, and
 * nothing but the driver's launch is called: it may be captured into a graph. As
 * for the driver's own launch, the context of the stream (of a null stream the
 * current one, the current device of HIP) is the artefact's.
 */
KVQ_API kvq_status kvq_kernel_launch(const kvq_kernel *kernel, const kvq_value *values,
                                     size_t num_values, void *stream, kvq_error *error);

/** What kvq_kernel_launch would give the driver. */
typedef struct kvq_plan {
  size_t size;
  /** The kernel that fits; null where there is no work. */
  const char *symbol;
  /** Its CUfunction, hipFunction_t or host function. */
  void *function;
  uint32_t grid[3], block[3], shared_bytes;
  /** How many of the values, from the first on, are its arguments. */
  uint32_t num_arguments;
} kvq_plan;

/**
 * Checks `values` and plans their launch without launching: for callers that
 * update the nodes of a graph, or want to know early.
 */
KVQ_API kvq_status kvq_kernel_plan(const kvq_kernel *kernel, const kvq_value *values,
                                   size_t num_values, kvq_plan *plan, kvq_error *error);

#ifdef __cplusplus
}
#endif

#endif /* KVQ_RUNTIME_KVQ_RUNTIME_H */
