//===- PtxAssembler.cpp - From PTX to cubin -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NVIDIA's assembler comes as a library (nvJitLink, loaded when it is first
// needed) and as a program (ptxas, with nvlink for its linker). Its third form,
// nvPTXCompiler, is a static library that crashes when lld links it, so kvq does
// without.
//
//===----------------------------------------------------------------------===//

#include "NvJitLink.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

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

/// Adds the folders in which NVIDIA's wheels in a virtual environment keep what
/// a toolkit has under its root.
void addWheels(llvm::StringRef environment, llvm::SmallVectorImpl<std::string> &roots) {
  std::error_code error;
  for (fs::directory_iterator it(joinPath(environment, "lib"), error), end; !error && it != end;
       it.increment(error))
    if (llvm::sys::path::filename(it->path()).starts_with("python"))
      for (llvm::StringRef wheel : {"cu13", "cuda_nvcc", "nvjitlink"})
        if (std::string root = joinPath(it->path(), "site-packages/nvidia/" + wheel);
            fs::is_directory(root))
          roots.push_back(root);
}

} // namespace

std::string kvq::joinPath(llvm::StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return std::string(path);
}

llvm::SmallVector<std::string> kvq::toolkitRoots() {
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

std::string kvq::firstError(llvm::StringRef log) {
  llvm::SmallVector<llvm::StringRef> lines;
  log.split(lines, '\n');
  for (llvm::StringRef line : lines)
    if (line.contains_insensitive("error") || line.contains_insensitive("fatal"))
      return line.trim().str();
  return oneLine(log);
}

namespace {

std::optional<std::string> findProgram(llvm::StringRef name) {
  llvm::SmallVector<std::string> folders;
  for (llvm::StringRef root : toolkitRoots())
    folders.push_back(joinPath(root, "bin"));
  llvm::SmallVector<llvm::StringRef> paths(folders.begin(), folders.end());
  if (auto program = llvm::sys::findProgramByName(name, paths))
    return *program;
  if (auto program = llvm::sys::findProgramByName(name))
    return *program;
  return std::nullopt;
}

/// Runs an assembler or a linker on files of `inputs` and returns what it wrote.
llvm::Expected<CodeObject> runProgram(llvm::StringRef program,
                                      llvm::ArrayRef<llvm::StringRef> options,
                                      llvm::ArrayRef<llvm::StringRef> inputs,
                                      llvm::StringRef suffix, const ChipInfo &chip) {
  std::vector<ScopedFile> files;
  std::string arch = ("-arch=" + chip.name).str(), message;
  llvm::SmallVector<llvm::StringRef> arguments{program, arch};
  llvm::append_range(arguments, options);
  for (llvm::StringRef input : inputs) {
    auto file = ScopedFile::create(suffix, input);
    if (!file)
      return file.takeError();
    files.push_back(std::move(*file));
  }
  for (const ScopedFile &file : files)
    arguments.push_back(file.path());
  auto output = ScopedFile::create("cubin");
  if (!output)
    return output.takeError();
  auto log = ScopedFile::create("log");
  if (!log)
    return log.takeError();
  arguments.append({"-o", output->path()});
  std::optional<llvm::StringRef> redirects[] = {"", log->path(), log->path()};
  int status = llvm::sys::ExecuteAndWait(program, arguments, std::nullopt, redirects,
                                         /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (status == 0)
    return output->read();
  if (status < 0)
    return oneLineError("cannot run '" + program + "': " + message);
  auto text = log->read();
  if (!text)
    return text.takeError();
  llvm::StringRef kind = suffix == "ptx" ? "PTX" : "cubins";
  return oneLineError(llvm::sys::path::filename(program) + " refused the " + kind + " for '" +
                      chip.name + "': " + firstError(bytesOf(*text)));
}

/// Which assembler KVQ_PTX_ASSEMBLER asks for; empty for any.
llvm::Expected<std::string> chosenAssembler() {
  std::string way = llvm::sys::Process::GetEnv("KVQ_PTX_ASSEMBLER").value_or("");
  if (llvm::is_contained({"", "nvjitlink", "ptxas", "none"}, way))
    return way;
  return oneLineError("expected 'nvjitlink', 'ptxas' or 'none' in the environment variable "
                      "KVQ_PTX_ASSEMBLER, but got '" +
                      way + "'");
}

llvm::Error noAssembler(const ChipInfo &chip, llvm::StringRef way) {
  std::string tried = way.empty() ? "neither the library nvJitLink nor the program ptxas is there"
                      : way == "none"
                          ? "KVQ_PTX_ASSEMBLER is 'none'"
                          : "KVQ_PTX_ASSEMBLER asks for '" + way.str() + "', which is not there";
  return llvm::make_error<NoAssemblerError>(("no way to assemble PTX for '" + chip.name + "': " +
                                             tried + "; KVQ_CUDA_PATH may name a CUDA toolkit")
                                                .str());
}

using Product = NvJitLink::Product;

llvm::Expected<CodeObject> assemble(llvm::StringRef ptx, Product product, const ChipInfo &chip) {
  if (chip.backend != Backend::NVVM)
    return oneLineError("expected a chip of the NVVM backend, but got '" + chip.name + "'");
  llvm::Expected<std::string> way = chosenAssembler();
  if (!way)
    return way.takeError();
  if (way->empty() || *way == "nvjitlink")
    if (const NvJitLink *library = NvJitLink::get()) {
      auto code = library->link(ptx, NvJitLink::Input::PTX, product, chip);
      if (!code)
        return code.takeError();
      if (*code)
        return std::move(**code);
    }
  llvm::SmallVector<llvm::StringRef> options{"-O3"};
  if (product == Product::Relocatable)
    options.push_back("-c");
  if (way->empty() || *way == "ptxas")
    if (std::optional<std::string> program = findProgram("ptxas"))
      return runProgram(*program, options, ptx, "ptx", chip);
  return noAssembler(chip, *way);
}

/// What tells a file from another release of it.
std::string describeFile(llvm::StringRef path) {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return "";
  auto time = status.getLastModificationTime().time_since_epoch().count();
  return (llvm::sys::path::filename(path) + " " + llvm::Twine(status.getSize()) + " " +
          llvm::Twine(int64_t(time)) + "\n")
      .str();
}

} // namespace

llvm::Expected<CodeObject> kvq::assemblePTX(llvm::StringRef ptx, const ChipInfo &chip) {
  return assemble(ptx, Product::Executable, chip);
}

llvm::Expected<CodeObject> kvq::assemblePTXPart(llvm::StringRef ptx, const ChipInfo &chip) {
  return assemble(ptx, Product::Relocatable, chip);
}

bool kvq::canLinkCubins(const ChipInfo &chip) {
  llvm::Expected<std::string> way = chosenAssembler();
  if (!way) {
    llvm::consumeError(way.takeError());
    return false;
  }
  if (way->empty() || *way == "nvjitlink")
    if (const NvJitLink *library = NvJitLink::get())
      if (library->makes(Product::Executable, chip))
        return library->makes(Product::Relocatable, chip);
  return (way->empty() || *way == "ptxas") && findProgram("ptxas") && findProgram("nvlink");
}

llvm::Expected<CodeObject> kvq::linkCubins(llvm::ArrayRef<llvm::StringRef> cubins,
                                           const ChipInfo &chip) {
  llvm::Expected<std::string> way = chosenAssembler();
  if (!way)
    return way.takeError();
  if (way->empty() || *way == "nvjitlink")
    if (const NvJitLink *library = NvJitLink::get()) {
      auto code = library->link(cubins, NvJitLink::Input::Cubin, Product::Executable, chip);
      if (!code)
        return code.takeError();
      if (*code)
        return std::move(**code);
    }
  if (way->empty() || *way == "ptxas")
    if (std::optional<std::string> program = findProgram("nvlink"))
      return runProgram(*program, {}, cubins, "cubin", chip);
  return noAssembler(chip, *way);
}

std::string kvq::describeAssemblers() {
  std::string text = llvm::sys::Process::GetEnv("KVQ_PTX_ASSEMBLER").value_or("") + "\n";
  llvm::SmallVector<std::string> libraries = NvJitLink::findFiles();
  for (llvm::StringRef path : libraries)
    text += describeFile(path);
  // Where the library is not in a place that kvq knows, the system may know one.
  if (libraries.empty())
    if (const NvJitLink *library = NvJitLink::get())
      text += describeFile(library->getPath());
  for (llvm::StringRef name : {"ptxas", "nvlink"})
    if (std::optional<std::string> program = findProgram(name))
      text += describeFile(*program);
  return text;
}

bool kvq::isNoAssembler(const llvm::Error &error) { return error.isA<NoAssemblerError>(); }
