// The kernels that kvq makes for a layer of 8 heads of 128 numbers, written by hand in CUDA C++: bf16 to and from an f8E4M3FN cache in layout nhd, with
// slots, strides, a check of the bounds and constant scales. A thread moves 8 numbers of K and of V; a block of 256 threads has two tokens. They take
// kvq's arguments in kvq's order.
//
//   K_SCALE, V_SCALE   the scales, from the command line; without them they are two more arguments, as engines pass them
//   KVQ_PEER_PTX       inline PTX in place of NVIDIA's headers, which cost a compiler in the process most of its time
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef KVQ_PEER_PTX
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#endif

#ifdef K_SCALE
#define SCALE_ARGUMENTS
#else
#define SCALE_ARGUMENTS , const float *__restrict__ keyScale, const float *__restrict__ valueScale
#define K_SCALE __ldg(keyScale)
#define V_SCALE __ldg(valueScale)
#endif

constexpr int kHeads = 8, kHeadSize = 128, kBlockSize = 16, kVector = 8;
constexpr int kVectorsPerRow = kHeads * kHeadSize / kVector, kTokensPerBlock = 2;

struct Place {
  long long token, slot, head, element;
  bool isValid;
};

__device__ inline Place findPlace(const long long *slots, long long numTokens, long long numBlocks) {
  Place place;
  unsigned vector = threadIdx.x % kVectorsPerRow;
  place.token = (long long)blockIdx.x * kTokensPerBlock + threadIdx.x / kVectorsPerRow;
  place.head = vector / (kHeadSize / kVector);
  place.element = vector % (kHeadSize / kVector) * kVector;
  place.isValid = false;
  if (place.token < numTokens) {
    place.slot = __ldg(slots + place.token);
    place.isValid = (unsigned long long)place.slot < (unsigned long long)(numBlocks * kBlockSize);
  }
  return place;
}

__device__ inline unsigned toFp8Pair(unsigned bf16Pair, float scale) {
  float low = __uint_as_float(bf16Pair << 16) / scale, high = __uint_as_float(bf16Pair & 0xffff0000u) / scale;
#ifdef KVQ_PEER_PTX
  unsigned short codes;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  return codes;
#else
  return __nv_cvt_float2_to_fp8x2(make_float2(low, high), __NV_SATFINITE, __NV_E4M3);
#endif
}

__device__ inline unsigned toBf16Pair(unsigned short codes, float scale) {
#ifdef KVQ_PEER_PTX
  unsigned halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(codes));
  float low, high;
  asm("{.reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}" : "=f"(low), "=f"(high) : "r"(halves));
  unsigned result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high * scale), "f"(low * scale));
  return result;
#else
  __half2_raw halves = __nv_cvt_fp8x2_to_halfraw2(codes, __NV_E4M3);
  float2 values = __half22float2(__half2(halves));
  __nv_bfloat162 result = __floats2bfloat162_rn(values.x * scale, values.y * scale);
  return *reinterpret_cast<unsigned *>(&result);
#endif
}

__device__ inline void quantize(const unsigned short *row, unsigned char *cache, float scale) {
  uint4 in = __ldg(reinterpret_cast<const uint4 *>(row));
  uint2 out = {toFp8Pair(in.x, scale) | toFp8Pair(in.y, scale) << 16, toFp8Pair(in.z, scale) | toFp8Pair(in.w, scale) << 16};
  *reinterpret_cast<uint2 *>(cache) = out;
}

__device__ inline void dequantize(const unsigned char *cache, unsigned short *row, float scale) {
  uint2 in = __ldg(reinterpret_cast<const uint2 *>(cache));
  uint4 out = {toBf16Pair(in.x & 0xffff, scale), toBf16Pair(in.x >> 16, scale), toBf16Pair(in.y & 0xffff, scale), toBf16Pair(in.y >> 16, scale)};
  *reinterpret_cast<uint4 *>(row) = out;
}

#define OFFSETS                                                                                                                                                \
  Place place = findPlace(slots, numTokens, numBlocks);                                                                                                        \
  if (!place.isValid)                                                                                                                                          \
    return;                                                                                                                                                    \
  long long block = place.slot / kBlockSize, page = place.slot % kBlockSize, inRow = place.head * kHeadSize + place.element;                                     \
  long long keyRow = place.token * keyStride + inRow, valueRow = place.token * valueStride + inRow;                                                              \
  long long keyPlace = block * keyBlockStride + page * keyPageStride + place.head * keyHeadStride + place.element;                                               \
  long long valuePlace = block * valueBlockStride + page * valuePageStride + place.head * valueHeadStride + place.element;

extern "C" __global__ void __launch_bounds__(256)
    store(const unsigned short *__restrict__ key, const unsigned short *__restrict__ value, unsigned char *__restrict__ keyCache,
          unsigned char *__restrict__ valueCache, const long long *__restrict__ slots, long long numTokens, long long numBlocks, long long keyStride,
          long long valueStride, long long keyBlockStride, long long keyPageStride, long long keyHeadStride, long long valueBlockStride,
          long long valuePageStride, long long valueHeadStride SCALE_ARGUMENTS) {
  OFFSETS
  quantize(key + keyRow, keyCache + keyPlace, K_SCALE);
  quantize(value + valueRow, valueCache + valuePlace, V_SCALE);
}

extern "C" __global__ void __launch_bounds__(256)
    load(unsigned short *__restrict__ key, unsigned short *__restrict__ value, const unsigned char *__restrict__ keyCache,
         const unsigned char *__restrict__ valueCache, const long long *__restrict__ slots, long long numTokens, long long numBlocks, long long keyStride,
         long long valueStride, long long keyBlockStride, long long keyPageStride, long long keyHeadStride, long long valueBlockStride,
         long long valuePageStride, long long valueHeadStride SCALE_ARGUMENTS) {
  OFFSETS
  dequantize(keyCache + keyPlace, key + keyRow, K_SCALE);
  dequantize(valueCache + valuePlace, value + valueRow, V_SCALE);
}
