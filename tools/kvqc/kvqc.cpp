//===- kvqc.cpp - From checkpoints to cache kernels -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "kvq/Driver/Compile.h"
#include "kvq/Support/OutputDirectory.h"
#include "kvq/Support/Quote.h"
#include "kvq/Target/ChipInfo.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>
#include <cstdio>
#include <unistd.h>

using namespace kvq;

static constexpr llvm::StringLiteral help =
    R"(kvqc compiles the scales of a checkpoint's KV cache into kernels

USAGE: kvqc COMMAND CHECKPOINT [options]

  kvqc import  CHECKPOINT [-o model.mlir]    the attention layers and their scales as MLIR
  kvqc inspect CHECKPOINT [--target CHIP]    what the scales are, and what an engine makes of them
  kvqc compile CHECKPOINT -o DIR             kernels that store to and load from the cache
  kvqc show    DIR                           what is inside such a folder
  kvqc verify  DIR                           whether it is whole, and its host kernels right
  kvqc diff    DIR DIR                       which layers, scales and kernels differ
  kvqc COMMAND --help                        a command's options, with examples
  kvqc --list-targets                        the chips, one a line
  kvqc --version

CHECKPOINT is a folder of Hugging Face files, a legacy kv_cache_scales.json or a .mlir file; DIR
is what compile wrote.

  kvqc inspect Llama-3.1-8B-FP8-KV --target gfx942
  kvqc compile Llama-3.1-8B-FP8-KV -o kernels --target sm_90 --target gfx942 --target host
)";

void kvq::printWarning(llvm::StringRef text) { llvm::errs() << "warning: " << text << '\n'; }

void kvq::printError(llvm::StringRef text) { llvm::errs() << "error: " << text << '\n'; }

char Difference::ID = 0;

void Difference::log(llvm::raw_ostream &os) const { os << "the two differ"; }

std::error_code Difference::convertToErrorCode() const { return llvm::inconvertibleErrorCode(); }

llvm::Error kvq::reportErrors(llvm::ArrayRef<std::string> errors) {
  if (errors.empty())
    return llvm::Error::success();
  for (const std::string &error : errors.drop_back())
    printError(error);
  return llvm::createStringError(llvm::Twine(errors.back()));
}

static std::vector<Command> allCommands() {
  return {importCommand(), inspectCommand(), compileCommand(),
          showCommand(),   verifyCommand(),  diffCommand()};
}

/// The commands' names, for messages.
static std::string listCommands() {
  std::vector<std::string> names;
  for (const Command &command : allCommands())
    names.push_back(quoteName(command.options->getName()));
  return llvm::join(names, ", ");
}

/// What LLVM's command line said, as an error of kvqc's own: one line, without
/// the program's name before and the advice after it.
static llvm::Error tidyMessage(llvm::StringRef message, llvm::StringRef program,
                               llvm::StringRef command) {
  message = message.trim().split('\n').first;
  message.consume_front(program);
  message.consume_front(": ");
  message = message.split("  Try: ").first.rtrim(" .!:");
  std::string text = message.str();
  if (text.size() > 1 && !llvm::isUpper(text[1]))
    text[0] = llvm::toLower(text[0]);
  return llvm::createStringError(escapeText(text) + "; see 'kvqc " + command.str() + " --help'");
}

/// What goes to standard error while this lives. LLVM's command line says there
/// what is wrong with a value, whatever stream it is given for its errors.
class CapturedStandardError {
public:
  CapturedStandardError() : text(std::tmpfile()), saved(text ? dup(STDERR_FILENO) : -1) {
    if (saved >= 0)
      dup2(fileno(text), STDERR_FILENO);
  }
  ~CapturedStandardError() { take(); }

  /// Ends the capture.
  std::string take() {
    std::string captured;
    if (saved >= 0) {
      dup2(saved, STDERR_FILENO);
      close(saved);
      captured.resize(4096);
      ssize_t count = pread(fileno(text), captured.data(), captured.size(), 0);
      captured.resize(count > 0 ? size_t(count) : 0);
    }
    if (text)
      std::fclose(text);
    text = nullptr;
    saved = -1;
    return captured;
  }

private:
  std::FILE *text;
  int saved;
};

static std::string listTargets() {
  std::string text;
  for (const ChipInfo &chip : allChips())
    text += chip.name.str() + '\n';
  return text;
}

static llvm::Error runCommand(int argc, char **argv, llvm::StringRef name) {
  for (const Command &command : allCommands()) {
    if (command.options->getName() != name)
      continue;
    llvm::cl::HideUnrelatedOptions(*command.category, *command.options);
    std::string message;
    llvm::raw_string_ostream os(message);
    CapturedStandardError captured;
    bool parsed = llvm::cl::ParseCommandLineOptions(argc, argv, "kvqc", &os, /*VFS=*/nullptr,
                                                    /*EnvVar=*/nullptr,
                                                    /*LongOptionsUseDoubleDash=*/true);
    message = captured.take() + message;
    if (!parsed)
      return tidyMessage(message, llvm::sys::path::filename(argv[0]), name);
    return command.run();
  }
  return llvm::createStringError("expected one of " + listCommands() + ", but got " +
                                 quoteName(name) + "; see 'kvqc --help'");
}

static llvm::Error run(int argc, char **argv) {
  if (argc < 2)
    return llvm::createStringError("expected one of " + listCommands() + "; see 'kvqc --help'");
  llvm::StringRef first(argv[1]);
  if (first == "--help" || first == "-h" || first == "help")
    return writeStandardOutput(help);
  if (first == "--version")
    return writeStandardOutput((getProducer() + "\n").str());
  if (first == "--list-targets")
    return writeStandardOutput(listTargets());
  return runCommand(argc, argv, first);
}

int main(int argc, char **argv) {
  // A file that grows beyond a limit is an error of the write, not the end.
  std::signal(SIGXFSZ, SIG_IGN);
  if (llvm::Error error = run(argc, argv)) {
    if (error.isA<Difference>()) {
      llvm::consumeError(std::move(error));
      return 1;
    }
    printError(llvm::toString(std::move(error)));
    return 1;
  }
  return 0;
}
