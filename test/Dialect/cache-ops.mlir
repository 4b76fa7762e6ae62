// RUN: kvq-opt %s --verify-roundtrip | FileCheck %s

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
#copy = #kvq.cache<layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128, align = 8>

// CHECK-LABEL: llvm.func @store
// CHECK: kvq.cache_store %{{.+}}, %{{.+}} into %{{.+}}, %{{.+}} at %{{.+}} tokens %{{.+}} blocks %{{.+}} strides(%{{.+}}) scales(%{{.+}}, %{{.+}}) : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
llvm.func @store(%key: !llvm.ptr, %value: !llvm.ptr, %kc: !llvm.ptr, %vc: !llvm.ptr, %slots: !llvm.ptr, %n: i64, %blocks: i64, %row: i64, %b: i64, %p: i64, %h: i64, %s: f32) {
  kvq.cache_store %key, %value into %kc, %vc at %slots tokens %n blocks %blocks
      strides (%row, %row), (%b, %p, %h, %b, %p, %h) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// A cache of the source type has no scales; counting needs a counter.
// CHECK-LABEL: llvm.func @copy
// CHECK: kvq.cache_load {{.*}} bounds count counting %{{.+}} : bf16, <{{.*}}align = 8>, !llvm.ptr<1>
llvm.func @copy(%key: !llvm.ptr<1>, %value: !llvm.ptr<1>, %kc: !llvm.ptr<1>, %vc: !llvm.ptr<1>, %slots: !llvm.ptr<1>, %bad: !llvm.ptr<1>, %n: i64, %blocks: i64, %row: i64, %b: i64, %p: i64, %h: i64) {
  kvq.cache_load %key, %value from %kc, %vc at %slots tokens %n blocks %blocks
      strides (%row, %row), (%b, %p, %h, %b, %p, %h) bounds count counting %bad : bf16, #copy, !llvm.ptr<1>
  llvm.return
}

// A cache is written from another one, with two lists of strides.
// CHECK-LABEL: llvm.func @convert
// CHECK: kvq.cache_recode convert %[[K:.+]], %[[V:.+]] into %[[KC:.+]], %[[VC:.+]] blocks %{{.+}} strides (%{{.+}}), (%{{.+}}) scales(%{{.+}}, %{{.+}}) : bf16, <{{.*}}>, !llvm.ptr
llvm.func @convert(%key: !llvm.ptr, %value: !llvm.ptr, %kc: !llvm.ptr, %vc: !llvm.ptr, %blocks: i64, %n: i64, %s: f32) {
  kvq.cache_recode convert %key, %value into %kc, %vc blocks %blocks
      strides (%n, %n, %n, %n, %n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// A cache that is written in place has one list of each: the first must not be taken for the one that is read.
// CHECK-LABEL: llvm.func @rescale
// CHECK: kvq.cache_recode rescale %[[KC:.+]], %[[VC:.+]] blocks %{{[^,]+}} strides (%{{[^()]+}}) from_scales(%{{.+}}, %{{.+}}) scales(%{{.+}}, %{{.+}}) : bf16, <{{.*}}>, !llvm.ptr
llvm.func @rescale(%kc: !llvm.ptr, %vc: !llvm.ptr, %blocks: i64, %n: i64, %s: f32) {
  kvq.cache_recode rescale %kc, %vc blocks %blocks strides (%n, %n, %n, %n, %n, %n)
      from_scales (%s, %s) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}
