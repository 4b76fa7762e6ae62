// RUN: kvq-opt %s --kvq-verify-lowered -split-input-file -verify-diagnostics

func.func @fp8_value(%c: vector<4xi8>) {
  // expected-error@+1 {{expected no FP8 value after lowering, but got 'vector<4xf8E5M2>'}}
  %x = arith.bitcast %c : vector<4xi8> to vector<4xf8E5M2>
  return
}

// -----

// expected-error@+1 {{expected no kvq operation after lowering, but got 'kvq.attention'}}
kvq.attention @layer index 0 cache fp8

// -----

func.func @lowered(%c: vector<4xi8>) -> vector<4xi8> {
  return %c : vector<4xi8>
}
