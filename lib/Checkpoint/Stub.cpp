#include "kvq/Checkpoint/Checkpoint.h"
llvm::Expected<kvq::Checkpoint> kvq::readCheckpoint(llvm::StringRef, const ReadOptions &) { return llvm::createStringError("stub"); }
