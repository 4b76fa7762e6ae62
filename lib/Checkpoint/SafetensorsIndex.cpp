//===- SafetensorsIndex.cpp - model.safetensors.index.json ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/SafetensorsIndex.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace kvq;

static Error failure(const Twine &text) {
  return createStringError(inconvertibleErrorCode(), text);
}

static Error checkShardName(StringRef shard) {
  if (shard.contains('/') || shard.contains('\\') || shard.contains('\0') || shard == ".." ||
      shard.empty())
    return failure("expected a shard to be a file name in the same folder, but got " +
                   quoteName(shard));
  if (!shard.ends_with(".safetensors"))
    return failure("expected a shard's name to end in '.safetensors', but got " + quoteName(shard));
  return Error::success();
}

Expected<SafetensorsIndex> kvq::parseSafetensorsIndex(StringRef text) {
  Expected<JsonValue> root = parseJson(text, {/*maxDepth=*/32, /*allowNonFinite=*/false});
  if (!root)
    return root.takeError();
  if (!root->isObject())
    return failure("expected an object, but got " + root->describe());
  const JsonValue *map = root->find("weight_map");
  if (!map || !map->isObject())
    return failure("expected 'weight_map' to be an object of file names");
  SafetensorsIndex index;
  StringSet<> shards;
  for (const JsonValue::Member &member : map->members) {
    if (!member.second.isString())
      return failure("expected 'weight_map' to give " + quoteName(member.first) +
                     " a file name, but got " + member.second.describe());
    const std::string &shard = member.second.string;
    if (shards.insert(shard).second) {
      if (Error error = checkShardName(shard))
        return error;
      index.shards.push_back(shard);
    }
    index.weightMap.emplace_back(member.first, shard);
  }
  llvm::sort(index.shards);
  if (const JsonValue *metadata = root->find("metadata"))
    if (const JsonValue *total = metadata->find("total_size");
        total && total->kind == JsonValue::Kind::Number)
      index.totalSize = total->number.value;
  return index;
}

/// Whether `path` is `folder` or below it; both are real paths.
static bool isBelow(StringRef path, StringRef folder) {
  return path.consume_front(folder) && (path.empty() || path.front() == '/');
}

bool kvq::staysInside(StringRef folder, StringRef shard) {
  SmallString<256> path(folder), realPath, realFolder;
  sys::path::append(path, shard);
  // A thousand shards are a thousand look-ups: only links can lead away.
  if (!sys::fs::is_symlink_file(path))
    return true;
  if (sys::fs::real_path(path, realPath) || sys::fs::real_path(folder, realFolder))
    return false;
  if (isBelow(realPath, realFolder))
    return true;
  StringRef snapshots = sys::path::parent_path(realFolder);
  if (sys::path::filename(snapshots) != "snapshots")
    return false;
  SmallString<256> blobs(sys::path::parent_path(snapshots));
  sys::path::append(blobs, "blobs");
  SmallString<256> realBlobs;
  return !sys::fs::real_path(blobs, realBlobs) && isBelow(realPath, realBlobs);
}
