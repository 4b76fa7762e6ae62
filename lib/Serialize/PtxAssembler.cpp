//===- PtxAssembler.cpp - From PTX to cubin -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NVIDIA's assembler comes as a library (nvJitLink, loaded when it is first
// needed) and as a program (ptxas). Its third form, nvPTXCompiler, is a static
// library that crashes when lld links it, so kvq does without.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include <dlfcn.h>
#include <mutex>

#ifdef KVQ_HAS_LSAN
#include <sanitizer/lsan_interface.h>
#endif

using namespace kvq;
namespace fs = llvm::sys::fs;

namespace {

class NoAssemblerError : public llvm::ErrorInfo<NoAssemblerError> {
public:
  static char ID;
  explicit NoAssemblerError(std::string text) : text(std::move(text)) {}
  void log(llvm::raw_ostream &stream) const override { stream << text; }
  std::error_code convertToErrorCode() const override {
    return std::make_error_code(std::errc::no_such_file_or_directory);
  }

private:
  std::string text;
};

char NoAssemblerError::ID = 0;

std::string join(llvm::StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

/// Adds the folders in which NVIDIA's wheels in a virtual environment keep what
/// a toolkit has under its root.
void addWheels(llvm::StringRef environment, llvm::SmallVectorImpl<std::string> &roots) {
  std::error_code error;
  for (fs::directory_iterator it(join(environment, "lib"), error), end; !error && it != end;
       it.increment(error))
    if (llvm::sys::path::filename(it->path()).starts_with("python"))
      for (llvm::StringRef wheel : {"cu13", "cuda_nvcc", "nvjitlink"})
        if (std::string root = join(it->path(), "site-packages/nvidia/" + wheel);
            fs::is_directory(root))
          roots.push_back(root);
}

/// The folders that may be the root of a CUDA toolkit, the likeliest first.
llvm::SmallVector<std::string> toolkitRoots() {
  llvm::SmallVector<std::string> roots;
  for (const char *variable : {"KVQ_CUDA_PATH", "CUDA_HOME", "CUDA_PATH"})
    if (auto value = llvm::sys::Process::GetEnv(variable); value && !value->empty())
      roots.push_back(*value);
  if (auto value = llvm::sys::Process::GetEnv("VIRTUAL_ENV"))
    addWheels(*value, roots);
#ifdef KVQ_CUDA_TOOLKIT_HINT
  roots.push_back(KVQ_CUDA_TOOLKIT_HINT);
#endif
  roots.push_back("/usr/local/cuda");
  addWheels(KVQ_VENV_HINT, roots);
  return roots;
}

/// The line of an assembler's log that says what was wrong.
std::string firstError(llvm::StringRef log) {
  llvm::SmallVector<llvm::StringRef> lines;
  log.split(lines, '\n');
  for (llvm::StringRef line : lines)
    if (line.contains_insensitive("error") || line.contains_insensitive("fatal"))
      return line.trim().str();
  return oneLine(log);
}

/// nvJitLink leaks a little on each call; while one lives, LeakSanitizer does not
/// hold that against kvq.
struct ForeignCode {
#ifdef KVQ_HAS_LSAN
  __lsan::ScopedDisabler disabler;
#endif
  ForeignCode() {}
};

/// The functions of nvJitLink that kvq calls, as nvJitLink.h of CUDA 12 and 13
/// declares them; results and the input kind are C enumerations there.
struct NvJitLink {
  using Handle = struct Opaque *;
  enum Result { Success = 0, UnrecognizedArch = 16, UnsupportedArch = 17 };
  static constexpr int inputPTX = 2;

  int (*create)(Handle *, uint32_t, const char **);
  int (*destroy)(Handle *);
  int (*addData)(Handle, int, const void *, size_t, const char *);
  int (*complete)(Handle);
  int (*cubinSize)(Handle, size_t *);
  int (*cubin)(Handle, void *);
  int (*logSize)(Handle, size_t *);
  int (*log)(Handle, char *);

  /// Finds the functions in `library`; whether all are there.
  bool resolve(void *library) {
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    return find(create, "nvJitLinkCreate") && find(destroy, "nvJitLinkDestroy") &&
           find(addData, "nvJitLinkAddData") && find(complete, "nvJitLinkComplete") &&
           find(cubinSize, "nvJitLinkGetLinkedCubinSize") &&
           find(cubin, "nvJitLinkGetLinkedCubin") && find(logSize, "nvJitLinkGetErrorLogSize") &&
           find(log, "nvJitLinkGetErrorLog");
  }

  /// The library, once loaded, for good; null where there is none.
  static const NvJitLink *get() {
    static std::mutex mutex;
    static NvJitLink functions;
    static bool loaded = false;
    std::lock_guard<std::mutex> lock(mutex);
    if (loaded)
      return &functions;
    llvm::SmallVector<std::string> candidates;
    for (llvm::StringRef root : toolkitRoots())
      for (llvm::StringRef folder : {"lib64", "lib"})
        for (llvm::StringRef name : {"libnvJitLink.so.13", "libnvJitLink.so.12", "libnvJitLink.so"})
          if (std::string path = join(root, folder + "/" + name); fs::exists(path))
            candidates.push_back(path);
    candidates.push_back("libnvJitLink.so.13");
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

  /// Assembles `ptx`; nothing if this release does not know the chip.
  llvm::Expected<std::optional<CodeObject>> assemble(llvm::StringRef ptx,
                                                     const ChipInfo &chip) const {
    ForeignCode guard;
    std::string arch = ("-arch=" + chip.name).str();
    const char *options[] = {arch.c_str(), "-O3"};
    Handle handle = nullptr;
    int result = create(&handle, std::size(options), options);
    if (result == UnrecognizedArch || result == UnsupportedArch)
      return std::nullopt;
    if (result != Success)
      return oneLineError("nvJitLink failed with code " + llvm::Twine(result));
    struct Destroy {
      const NvJitLink &library;
      Handle &handle;
      ~Destroy() { library.destroy(&handle); }
    } destroyer{*this, handle};

    result = addData(handle, inputPTX, ptx.data(), ptx.size(), "kvq.ptx");
    if (result == Success)
      result = complete(handle);
    size_t size = 0;
    if (result == Success)
      result = cubinSize(handle, &size);
    CodeObject code(result == Success ? size : 0);
    if (result == Success)
      result = cubin(handle, code.data());
    if (result == Success)
      return std::optional<CodeObject>(std::move(code));

    std::string text;
    if (logSize(handle, &size) == Success && size) {
      text.resize(size);
      if (log(handle, text.data()) != Success)
        text.clear();
      text.resize(strlen(text.c_str()));
    }
    if (text.empty())
      text = ("code " + llvm::Twine(result)).str();
    return oneLineError("nvJitLink refused the PTX for '" + chip.name + "': " + firstError(text));
  }
};

std::optional<std::string> findPtxas() {
  llvm::SmallVector<std::string> folders;
  for (llvm::StringRef root : toolkitRoots())
    folders.push_back(join(root, "bin"));
  llvm::SmallVector<llvm::StringRef> paths(folders.begin(), folders.end());
  if (auto program = llvm::sys::findProgramByName("ptxas", paths))
    return *program;
  if (auto program = llvm::sys::findProgramByName("ptxas"))
    return *program;
  return std::nullopt;
}

llvm::Expected<CodeObject> runPtxas(llvm::StringRef program, llvm::StringRef ptx,
                                    const ChipInfo &chip) {
  auto input = ScopedFile::create("ptx", ptx);
  if (!input)
    return input.takeError();
  auto output = ScopedFile::create("cubin");
  if (!output)
    return output.takeError();
  auto log = ScopedFile::create("log");
  if (!log)
    return log.takeError();
  std::string arch = ("-arch=" + chip.name).str(), message;
  std::optional<llvm::StringRef> redirects[] = {"", log->path(), log->path()};
  int status = llvm::sys::ExecuteAndWait(
      program, {program, arch, "-O3", input->path(), "-o", output->path()}, std::nullopt, redirects,
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (status == 0)
    return output->read();
  if (status < 0)
    return oneLineError("cannot run '" + program + "': " + message);
  auto text = log->read();
  if (!text)
    return text.takeError();
  return oneLineError("ptxas refused the PTX for '" + chip.name +
                      "': " + firstError(llvm::StringRef(text->data(), text->size())));
}

} // namespace

llvm::Expected<CodeObject> kvq::assemblePTX(llvm::StringRef ptx, const ChipInfo &chip) {
  if (chip.backend != Backend::NVVM)
    return oneLineError("expected a chip of the NVVM backend, but got '" + chip.name + "'");
  std::string way = llvm::sys::Process::GetEnv("KVQ_PTX_ASSEMBLER").value_or("");
  if (!llvm::is_contained({"", "nvjitlink", "ptxas", "none"}, way))
    return oneLineError("expected 'nvjitlink', 'ptxas' or 'none' in the environment variable "
                        "KVQ_PTX_ASSEMBLER, but got '" +
                        way + "'");
  if (way.empty() || way == "nvjitlink")
    if (const NvJitLink *library = NvJitLink::get()) {
      llvm::Expected<std::optional<CodeObject>> code = library->assemble(ptx, chip);
      if (!code)
        return code.takeError();
      if (*code)
        return std::move(**code);
    }
  if (way.empty() || way == "ptxas")
    if (std::optional<std::string> program = findPtxas())
      return runPtxas(*program, ptx, chip);
  std::string tried = way.empty() ? "neither the library nvJitLink nor the program ptxas is there"
                      : way == "none"
                          ? "KVQ_PTX_ASSEMBLER is 'none'"
                          : "KVQ_PTX_ASSEMBLER asks for '" + way + "', which is not there";
  return llvm::make_error<NoAssemblerError>(("no way to assemble PTX for '" + chip.name + "': " +
                                             tried + "; KVQ_CUDA_PATH may name a CUDA toolkit")
                                                .str());
}

bool kvq::isNoAssembler(const llvm::Error &error) { return error.isA<NoAssemblerError>(); }
