//===- NvJitLink.cpp - NVIDIA's assembler and linker as a library ---------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NvJitLink.h"
#include "llvm/Support/FileSystem.h"
#include <dlfcn.h>
#include <mutex>

#ifdef KVQ_HAS_LSAN
#include <sanitizer/lsan_interface.h>
#endif

using namespace kvq;

namespace {

/// nvJitLink leaks a little on each call; while one lives, LeakSanitizer does not
/// hold that against kvq.
struct ForeignCode {
#ifdef KVQ_HAS_LSAN
  __lsan::ScopedDisabler disabler;
#endif
  ForeignCode() {}
};

} // namespace

bool NvJitLink::resolve(void *library) {
  auto find = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
    return function != nullptr;
  };
  return find(create, "nvJitLinkCreate") && find(destroy, "nvJitLinkDestroy") &&
         find(addData, "nvJitLinkAddData") && find(complete, "nvJitLinkComplete") &&
         find(cubinSize, "nvJitLinkGetLinkedCubinSize") && find(cubin, "nvJitLinkGetLinkedCubin") &&
         find(logSize, "nvJitLinkGetErrorLogSize") && find(log, "nvJitLinkGetErrorLog");
}

const NvJitLink *NvJitLink::get() {
  static std::mutex mutex;
  static NvJitLink functions;
  static bool loaded = false;
  std::lock_guard<std::mutex> lock(mutex);
  if (loaded)
    return &functions;
  llvm::SmallVector<std::string> candidates = findFiles();
  candidates.push_back(systemName.str());
  ForeignCode guard;
  // Not LLVM's DynamicLibrary, which would offer the library's symbols to all
  // others of the process.
  for (const std::string &path : candidates)
    if (void *library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
      if (functions.resolve(library))
        return loaded = true, &functions;
      dlclose(library);
    }
  return nullptr;
}

llvm::SmallVector<std::string> NvJitLink::findFiles() {
  llvm::SmallVector<std::string> files;
  for (llvm::StringRef root : toolkitRoots())
    for (llvm::StringRef folder : {"lib64", "lib"})
      for (llvm::StringRef name : {"libnvJitLink.so.13", "libnvJitLink.so.12", "libnvJitLink.so"})
        if (std::string path = joinPath(root, folder + "/" + name); llvm::sys::fs::exists(path))
          files.push_back(path);
  return files;
}

std::string NvJitLink::getPath() const {
  Dl_info info;
  bool isKnown = dladdr(reinterpret_cast<void *>(create), &info) && info.dli_fname;
  return isKnown ? info.dli_fname : "";
}

/// What a result's code says of the chip or an option.
static bool isUnknown(int result) {
  constexpr int unrecognizedOption = 1, unrecognizedArch = 16, unsupportedArch = 17;
  return llvm::is_contained({unrecognizedOption, unrecognizedArch, unsupportedArch}, result);
}

/// A link with its inputs and outputs; nvJitLink's handle dies with it.
class NvJitLink::Session {
public:
  explicit Session(const NvJitLink &library) : library(library) {}
  ~Session() {
    if (handle)
      library.destroy(&handle);
  }

  int start(const ChipInfo &chip, Product product) {
    arch = ("-arch=" + chip.name).str();
    llvm::SmallVector<const char *> options{arch.c_str(), "-O3"};
    if (product == Product::Relocatable)
      options.push_back("-r");
    int result = library.create(&handle, uint32_t(options.size()), options.data());
    if (result != success)
      handle = nullptr;
    return result;
  }

  int link(llvm::ArrayRef<llvm::StringRef> inputs, Input kind, CodeObject &code) {
    int result = success;
    size_t size = 0;
    for (llvm::StringRef input : inputs)
      if (result == success)
        result = library.addData(handle, int(kind), input.data(), input.size(), "kvq");
    if (result == success)
      result = library.complete(handle);
    if (result == success)
      result = library.cubinSize(handle, &size);
    if (result != success)
      return result;
    code.resize(size);
    return library.cubin(handle, code.data());
  }

  std::string getLog(int result) const {
    size_t size = 0;
    std::string text;
    if (library.logSize(handle, &size) == success && size) {
      text.resize(size);
      if (library.log(handle, text.data()) != success)
        text.clear();
      text.resize(strlen(text.c_str()));
    }
    return text.empty() ? "code " + std::to_string(result) : text;
  }

private:
  const NvJitLink &library;
  Handle handle = nullptr;
  std::string arch;
};

bool NvJitLink::makes(Product product, const ChipInfo &chip) const {
  ForeignCode guard;
  return Session(*this).start(chip, product) == success;
}

llvm::Expected<std::optional<CodeObject>> NvJitLink::link(llvm::ArrayRef<llvm::StringRef> inputs,
                                                          Input kind, Product product,
                                                          const ChipInfo &chip) const {
  ForeignCode guard;
  Session session(*this);
  int result = session.start(chip, product);
  if (isUnknown(result))
    return std::nullopt;
  if (result != success)
    return oneLineError("nvJitLink failed with code " + llvm::Twine(result));
  CodeObject code;
  result = session.link(inputs, kind, code);
  if (result == success)
    return std::optional<CodeObject>(std::move(code));
  llvm::StringRef refused = kind == Input::PTX ? "PTX" : "cubins";
  return oneLineError("nvJitLink refused the " + refused + " for '" + chip.name +
                      "': " + firstError(session.getLog(result)));
}
