//===- HostPlanner.cpp - Calls of host kernels for a test -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostMoves.h"
#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Numerics/Reference.h"
#include <numeric>

using namespace mlir;
using namespace kvq;

/// Elements behind each row and each block, which nothing may touch.
static constexpr int64_t gap = 32;

namespace {

/// Where the elements of a cache lie.
struct CacheView {
  explicit CacheView(CacheAttr cache);

  size_t indexOf(const CachePart &part, int64_t block, int64_t row, int64_t head,
                 int64_t element) const;
  size_t getSize(int64_t numBlocks) const { return size_t(numBlocks * blockStride); }

  SmallVector<CachePart, 2> parts;
  int64_t blockStride, pageStride, headStride;
};

} // namespace

CacheView::CacheView(CacheAttr cache) : parts(cache.getParts()) {
  int64_t rows = cache.getBlockSize(), heads = cache.getKvHeads(), size = cache.getHeadSize();
  bool headsFirst = cache.getLayout().getKind() == LayoutKind::HND;
  blockStride = rows * heads * size + gap;
  pageStride = headsFirst ? size : heads * size;
  headStride = headsFirst ? rows * size : size;
}

size_t CacheView::indexOf(const CachePart &part, int64_t block, int64_t row, int64_t head,
                          int64_t element) const {
  int64_t index = block * blockStride + part.base;
  if (part.isStrided())
    index += row * pageStride + head * headStride;
  int64_t values[] = {row, head, element};
  for (const LayoutDigit &digit : part.digits)
    if (!part.isStrided() || digit.dim == LayoutDim::Element)
      index += values[unsigned(digit.dim)] / digit.divisor % digit.extent * digit.stride;
  return size_t(index);
}

namespace kvq {

class HostPlanner {
public:
  HostPlanner(const ManifestKernel &kernel, const KernelSubject &subject)
      : kernel(kernel), kind(subject.kind), source(subject.source), cache(subject.cache),
        plan(new HostMoves()) {}

  std::unique_ptr<HostMoves> make(std::string &notRun);

private:
  /// Each returns why the kernel cannot be run; empty if it can.
  std::string planTokens();
  std::string planBlocks();
  std::string planRows();

  void setScales(ArrayRef<ScaleKind> kinds);
  /// How many numbers a scale has: one, or one for each head.
  size_t countNumbers(unsigned scale) const {
    size_t end = scale + 1 < firstScales.size() ? firstScales[scale + 1] : plan->scales.size();
    return end - firstScales[scale];
  }
  /// The place in the plan's scales of the one for a head of a part.
  unsigned scaleFor(unsigned scale, int64_t head) const {
    return firstScales[scale] + (countNumbers(scale) > 1 ? unsigned(head) : 0);
  }
  /// The least values of a row of `parts` that one number of a scale is for.
  int64_t countPerNumber(ArrayRef<CachePart> parts) const;
  void chooseStep(Held from, Held to);
  HostMoves::Element elementOf(Held held) const;
  CacheAttr cacheOf(Held held) const;
  int64_t give(HostBuffer buffer);
  void addCaches(const CacheView &view, StringRef prefix, std::vector<HostBuffer> &buffers,
                 int64_t numBlocks, unsigned width);
  void addSlots(ArrayRef<int64_t> slots);
  void addTable(int64_t numTokens, int64_t numBlocks);
  void fillInputs();
  /// Tokens enough for rows of `elements` to hold every value.
  int64_t countTokens(int64_t elements) const;

  const ManifestKernel &kernel;
  const CacheOpKind kind;
  const SourceType source;
  const CacheAttr cache;
  std::unique_ptr<HostMoves> plan;
  /// Where the numbers of each scale begin in the plan's.
  std::vector<unsigned> firstScales;
};

} // namespace kvq

static int64_t addressOf(const void *pointer) {
  return int64_t(reinterpret_cast<uintptr_t>(pointer));
}

/// Keeps a buffer and gives its address.
int64_t HostPlanner::give(HostBuffer buffer) {
  plan->others.push_back(std::move(buffer));
  return addressOf(plan->others.back().data());
}

HostMoves::Element HostPlanner::elementOf(Held held) const {
  CacheAttr side = cacheOf(held);
  return {side.getFp8Format(), source};
}

CacheAttr HostPlanner::cacheOf(Held held) const {
  CacheKernelSpec spec;
  spec.kind = kind;
  spec.cache = cache;
  spec.sourceType = getType(cache.getContext(), source);
  return getInfo(kind).from == held ? getFromCache(spec) : getToCache(spec);
}

void HostPlanner::setScales(ArrayRef<ScaleKind> kinds) {
  for (ScaleKind which : kinds) {
    std::string name = stringify(which).str();
    // What stands in for a scale that is an argument.
    float value = 0.037f + 0.014f * unsigned(which), old = 0.75f / (1 + unsigned(which));
    std::vector<float> numbers;
    for (const auto &[key, scale] : kernel.scales)
      if (key == name) {
        value = scale.value.value_or(value);
        numbers = scale.headValues;
      }
    if (numbers.empty())
      numbers.assign(1, value);
    firstScales.push_back(unsigned(plan->scales.size()));
    llvm::append_range(plan->scales, numbers);
    plan->oldScales.resize(plan->scales.size(), old);
    for (auto [prefix, number] : {std::pair("", value), std::pair("from_", old)}) {
      HostBuffer buffer(1, sizeof(float));
      buffer.set(0, llvm::bit_cast<uint32_t>(number));
      plan->arguments[prefix + name + "_scale"] = give(std::move(buffer));
    }
  }
}

void HostPlanner::chooseStep(Held from, Held to) {
  using Step = HostMoves::Step;
  plan->from = elementOf(from);
  plan->to = elementOf(to);
  const auto &read = plan->from.format, &written = plan->to.format;
  if (kind == CacheOpKind::Rescale)
    plan->step = Step::Rescale;
  else if (read == written)
    plan->step = Step::Copy;
  else if (!read || !written)
    plan->step = read ? Step::Multiply : Step::Divide;
  else {
    plan->step = Step::Factor;
    plan->factor = getInfo(*written).isFnuz() ? 0.5f : 2.0f;
  }
}

void HostPlanner::addCaches(const CacheView &view, StringRef prefix,
                            std::vector<HostBuffer> &buffers, int64_t numBlocks, unsigned width) {
  const LayoutNames &names = getLayoutNames(cache.getLayout().isMLA());
  for (StringRef name : names.caches) {
    buffers.emplace_back(view.getSize(numBlocks), width);
    plan->arguments[(prefix + name).str()] = addressOf(buffers.back().data());
  }
  for (StringRef name : names.prefixes) {
    std::string start = (prefix + name).str();
    plan->arguments[start + "_block_stride"] = view.blockStride;
    plan->arguments[start + "_page_stride"] = view.pageStride;
    plan->arguments[start + "_head_stride"] = view.headStride;
  }
  plan->arguments["num_blocks"] = numBlocks;
}

int64_t HostPlanner::countPerNumber(ArrayRef<CachePart> parts) const {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const CachePart &part : parts)
    least = std::min(least, (countNumbers(part.scale) > 1 ? 1 : part.heads) * part.headSize);
  return least;
}

int64_t HostPlanner::countTokens(int64_t elements) const {
  return (countTestValues(plan->from.getBytes()) - 1) / elements + 1;
}

/// Slots as their argument has them; a pointer to i32 needs less alignment.
void HostPlanner::addSlots(ArrayRef<int64_t> slots) {
  bool isNarrow = false;
  for (const ManifestArgument &argument : kernel.args)
    isNarrow |= argument.name == "slot_mapping" && argument.align == int64_t(sizeof(int32_t));
  HostBuffer buffer(slots.size() * (isNarrow ? 1 : 2), sizeof(int32_t));
  for (auto [index, slot] : llvm::enumerate(slots)) {
    if (isNarrow) {
      buffer.set(index, unsigned(slot));
      continue;
    }
    buffer.set(2 * index, unsigned(slot));
    buffer.set(2 * index + 1, unsigned(uint64_t(slot) >> 32));
  }
  plan->arguments["slot_mapping"] = give(std::move(buffer));
}

/// One sequence of all tokens, whose blocks are those of the cache backwards.
void HostPlanner::addTable(int64_t numTokens, int64_t numBlocks) {
  HostBuffer table(numBlocks, sizeof(int32_t)), lengths(2, sizeof(int32_t));
  for (int64_t block = 0; block < numBlocks; ++block)
    table.set(block, unsigned(numBlocks - 1 - block));
  lengths.set(0, 0);
  lengths.set(1, unsigned(numTokens));
  plan->arguments["block_table"] = give(std::move(table));
  plan->arguments["cu_seq_lens"] = give(std::move(lengths));
  plan->arguments["seq_starts"] = 0;
  plan->arguments["batch"] = 1;
  plan->arguments["block_table_stride"] = numBlocks;
}

/// store, load and gather.
std::string HostPlanner::planTokens() {
  bool stores = kind == CacheOpKind::Store;
  CacheView view(cache);
  // One token in seven has no slot.
  int64_t rows = cache.getBlockSize();
  int64_t numTokens = countTokens(countPerNumber(view.parts)) * 7 / 6 + 9;
  int64_t numBlocks = (numTokens - 1) / rows + 2, numSlots = numBlocks * rows;
  addCaches(view, "", stores ? plan->written : plan->inputs, numBlocks,
            (stores ? plan->to : plan->from).getBytes());

  std::vector<int64_t> slots;
  int64_t step = 7919;
  while (std::gcd(step, numSlots) != 1)
    ++step;
  for (int64_t token = 0; token < numTokens; ++token) {
    int64_t slot = (token * step + 5) % numSlots;
    if (kind == CacheOpKind::Gather)
      slot = (numBlocks - 1 - token / rows) * rows + token % rows;
    else if (token % 7 == 3)
      slot = -1 - token;
    slots.push_back(slot);
  }
  addSlots(slots);
  addTable(numTokens, numBlocks);
  plan->arguments["num_tokens"] = numTokens;

  const LayoutNames &names = getLayoutNames(cache.getLayout().isMLA());
  for (const CachePart &part : view.parts) {
    int64_t stride = part.heads * part.headSize + gap;
    std::vector<HostBuffer> &buffers = stores ? plan->inputs : plan->written;
    unsigned rowsAt = buffers.size();
    buffers.emplace_back(size_t(numTokens * stride), (stores ? plan->from : plan->to).getBytes());
    plan->arguments[names.rows[part.rows].str()] = addressOf(buffers.back().data());
    plan->arguments[names.rows[part.rows].str() + "_stride"] = stride;
    for (auto [token, slot] : llvm::enumerate(slots)) {
      if (slot < 0 || slot == kernel.paddingSlot)
        continue;
      for (int64_t head = 0; head < part.heads; ++head)
        for (int64_t element = 0; element < part.headSize; ++element) {
          size_t inRow = token * stride + head * part.headSize + element;
          size_t inCache = view.indexOf(part, slot / rows, slot % rows, head, element);
          unsigned scale = scaleFor(part.scale, head);
          plan->moves.push_back(stores ? HostMove{rowsAt, inRow, part.cache, inCache, scale}
                                       : HostMove{part.cache, inCache, rowsAt, inRow, scale});
        }
    }
  }
  return "";
}

/// Operations on all rows of all blocks.
std::string HostPlanner::planBlocks() {
  const CacheOpInfo &info = getInfo(kind);
  plan->inPlace = kind == CacheOpKind::Rescale;
  CacheView from(cacheOf(info.from)), to(cacheOf(info.to));
  int64_t rows = cache.getBlockSize();
  int64_t numBlocks = (countTokens(countPerNumber(from.parts)) - 1) / rows + 1;
  addCaches(from, plan->inPlace ? "" : "from_", plan->inputs, numBlocks, plan->from.getBytes());
  if (!plan->inPlace)
    addCaches(to, "", plan->written, numBlocks, plan->to.getBytes());
  for (auto [read, written] : llvm::zip_equal(from.parts, to.parts))
    for (int64_t token = 0; token < numBlocks * rows; ++token)
      for (int64_t head = 0; head < read.heads; ++head)
        for (int64_t element = 0; element < read.headSize; ++element)
          plan->moves.push_back(
              {read.cache, from.indexOf(read, token / rows, token % rows, head, element),
               written.cache, to.indexOf(written, token / rows, token % rows, head, element),
               scaleFor(read.scale, head)});
  return "";
}

/// Operations from rows to rows.
std::string HostPlanner::planRows() {
  bool isQuery = kind == CacheOpKind::QuantizeQuery;
  std::string name = isQuery ? "query" : "prob";
  if (isQuery && kernel.numHeads == 0)
    return kNoQueryHeads;
  int64_t columns = isQuery ? kernel.numHeads * kernel.headSize : 1021;
  if (columns > kMaxTestElements)
    return "its rows are too large for a test";
  int64_t numRows = countTokens(columns), fromStride = columns + gap, toStride = columns + 2 * gap;
  plan->inputs.emplace_back(size_t(numRows * fromStride), plan->from.getBytes());
  plan->written.emplace_back(size_t(numRows * toStride), plan->to.getBytes());
  plan->arguments[name] = addressOf(plan->inputs.back().data());
  plan->arguments[name + "_fp8"] = addressOf(plan->written.back().data());
  plan->arguments[name + "_stride"] = fromStride;
  plan->arguments[name + "_fp8_stride"] = toStride;
  plan->arguments[isQuery ? "num_tokens" : "num_rows"] = numRows;
  plan->arguments["num_columns"] = columns;
  for (int64_t row = 0; row < numRows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      plan->moves.push_back(
          {0, size_t(row * fromStride + column), 0, size_t(row * toStride + column), 0});
  return "";
}

void HostPlanner::fillInputs() {
  // Parts are told apart by their buffers or their scales.
  std::map<std::pair<unsigned, unsigned>, uint64_t> counts;
  for (const HostMove &move : plan->moves) {
    uint64_t &count = counts[{move.from, move.scale}];
    plan->inputs[move.from].set(move.fromIndex,
                                unsigned(testValueAt(count++, plan->from.getBytes())));
  }
}

std::unique_ptr<HostMoves> HostPlanner::make(std::string &notRun) {
  const CacheOpInfo &info = getInfo(kind);
  if (!cache.getFp8Format() && (info.from != Held::Cache && info.to != Held::Cache)) {
    notRun = "the cache has no FP8 format";
    return nullptr;
  }
  chooseStep(info.from, info.to);
  ArrayRef<ScaleKind> kinds = info.scales;
  setScales(kinds.empty() ? ArrayRef<ScaleKind>({ScaleKind::K, ScaleKind::V}) : kinds);
  plan->arguments["out_of_range"] = addressOf(&plan->outOfRange);
  bool isOnRows = llvm::is_contained(info.roles, ArgumentRole::OutRows);
  notRun = isOnRows ? planRows() : info.walk == Walk::Blocks ? planBlocks() : planTokens();
  if (!notRun.empty())
    return nullptr;
  fillInputs();
  return std::move(plan);
}

std::unique_ptr<HostMoves> HostMoves::plan(const ManifestKernel &kernel,
                                           const KernelSubject &subject, std::string &notRun) {
  return HostPlanner(kernel, subject).make(notRun);
}
