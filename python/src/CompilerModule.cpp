//===- CompilerModule.cpp - The compiler as a Python module ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// kvq._compiler: what lib/Driver offers, with words, text and bytes; the package's
// Python files make names and types of it. It is apart from kvq._runtime, which
// is to load without LLVM.
//
//===----------------------------------------------------------------------===//

#include "Errors.h"
#include "kvq/Driver/Compile.h"
#include "kvq/Driver/Import.h"
#include "kvq/Driver/Inspect.h"
#include "kvq/Driver/Modules.h"
#include "kvq/Driver/OptionNames.h"
#include "kvq/Target/ChipInfo.h"
#include <chrono>
#include <condition_variable>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <thread>

namespace nb = nanobind;
using namespace kvq;
using namespace kvq::python;

/// Options as Python gives them: names and words.
using NamedWords = std::vector<std::pair<std::string, std::vector<std::string>>>;

static std::string toText(const nb::bytes &bytes) { return {bytes.c_str(), bytes.size()}; }

static nb::bytes toBytes(const std::string &text) { return nb::bytes(text.data(), text.size()); }

static std::vector<NamedOption> toOptions(const NamedWords &words) {
  std::vector<NamedOption> options;
  for (const auto &[name, values] : words)
    options.push_back({name, values});
  return options;
}

template <typename T> static T orRaise(llvm::Expected<T> value) {
  if (!value)
    raiseError(llvm::toString(value.takeError()));
  return std::move(*value);
}

/// What `work` gives, which runs without the interpreter's lock.
template <typename Work> static auto withoutLock(Work work) {
  nb::gil_scoped_release release;
  return work();
}

/// Runs `work` in a thread of its own while this one listens to signals, such as
/// that of Ctrl-C: one whose handler raises calls `stop`, and its exception is
/// raised once the work has ended.
template <typename Work, typename Stop> static void runInterruptibly(Work work, Stop stop) {
  std::mutex mutex;
  std::condition_variable changed;
  bool isDone = false, isStopped = false;
  {
    nb::gil_scoped_release release;
    std::thread worker([&] {
      work();
      std::lock_guard<std::mutex> lock(mutex);
      isDone = true;
      changed.notify_one();
    });
    constexpr std::chrono::milliseconds interval(20);
    std::unique_lock<std::mutex> lock(mutex);
    while (!changed.wait_for(lock, interval, [&] { return isDone; })) {
      if (isStopped)
        continue;
      nb::gil_scoped_acquire acquire;
      isStopped = PyErr_CheckSignals() != 0;
      if (isStopped)
        stop();
    }
    lock.unlock();
    worker.join();
  }
  if (isStopped)
    throw nb::python_error();
}

static nb::tuple compileTo(const nb::bytes &checkpoint, const nb::bytes &folder,
                           const NamedWords &options) {
  CompileOptions parsed = orRaise(readCompileOptions(toText(checkpoint), toOptions(options)));
  std::string output = toText(folder), error;
  if (output.empty())
    raiseError("expected the name of a folder to write, but got an empty one");
  Progress progress(/*enabled=*/false);
  CompileReport report;
  auto work = [&] {
    llvm::Expected<CompileReport> result = kvq::compile(parsed, output, progress);
    if (result)
      report = std::move(*result);
    else
      error = llvm::toString(result.takeError());
  };
  runInterruptibly(work, [&] { progress.cancel(); });
  if (!error.empty())
    raiseError(error);
  return nb::make_tuple(report.warnings, report.kernels, report.kernelsBuilt);
}

static std::vector<std::string> describeAll(const nb::bytes &checkpoint,
                                            const NamedWords &options) {
  CompileOptions parsed = orRaise(readCompileOptions(toText(checkpoint), toOptions(options)));
  return orRaise(withoutLock([&] { return describePipelines(parsed); }));
}

static nb::bytes inspectToJson(const nb::bytes &checkpoint, const NamedWords &options) {
  InspectOptions parsed = orRaise(readInspectOptions(toText(checkpoint), toOptions(options)));
  Inspection inspection = orRaise(withoutLock([&] { return inspect(parsed); }));
  return toBytes(toJsonText(inspection));
}

static nb::bytes importModule(const nb::bytes &checkpoint, const NamedWords &options) {
  InputOptions parsed = orRaise(readInputOptions(toText(checkpoint), toOptions(options)));
  return toBytes(orRaise(withoutLock([&] { return importToText(parsed); })));
}

static nb::bytes run(const nb::bytes &module, const std::string &pipeline, bool bytecode) {
  std::string source = toText(module);
  ModuleForm form = bytecode ? ModuleForm::Bytecode : ModuleForm::Text;
  return toBytes(orRaise(withoutLock([&] { return runPasses(source, pipeline, form); })));
}

static nb::bytes translate(const nb::bytes &module, const std::string &kind,
                           const std::string &chip) {
  std::string source = toText(module);
  return toBytes(orRaise(withoutLock([&] { return translateModule(source, kind, chip); })));
}

static std::vector<std::string> listTargets() {
  std::vector<std::string> names;
  for (const ChipInfo &chip : allChips())
    names.push_back(chip.name.str());
  return names;
}

NB_MODULE(_compiler, m) {
  m.doc() = "kvq's compiler, in words, text and bytes; see kvq.compile, kvq.inspect and kvq.ir.";
  m.def("compile", compileTo, nb::arg("checkpoint"), nb::arg("folder"), nb::arg("options"),
        "Compiles a checkpoint into a folder; gives the warnings, a line each, how many kernels "
        "there are, and how many of them were built.");
  m.def("describe_pipelines", describeAll, nb::arg("checkpoint"), nb::arg("options"),
        "The pass pipeline of each target.");
  m.def("inspect", inspectToJson, nb::arg("checkpoint"), nb::arg("options"),
        "The schema kvq.inspect/1 as JSON.");
  m.def("import_module", importModule, nb::arg("checkpoint"), nb::arg("options"),
        "A checkpoint's unresolved layers as the text of a module.");
  m.def("run", run, nb::arg("module"), nb::arg("pipeline"), nb::arg("bytecode"),
        "Runs passes on a module and gives the result as text or bytecode.");
  m.def("translate", translate, nb::arg("module"), nb::arg("kind"), nb::arg("chip"),
        "The code of a module that is lowered to the end.");
  m.def("list_targets", listTargets, "The names of the chips, in order.");
}
