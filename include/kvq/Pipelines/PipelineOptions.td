//===- PipelineOptions.td - The options of kvq's pipelines -*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row for each option of a pass whose options are those of the pipelines too.
// Read by `llvm-tblgen -gen-searchable-tables` for PipelineOptions.cpp.
//
//===----------------------------------------------------------------------===//

include "kvq/Passes.td"
include "llvm/TableGen/SearchableTable.td"

class PipelineOption<Option option, string pass> {
  string Argument = option.argument;
  string Description = option.description;
  // A function that makes the option, from a member of the pass's options.
  string Make = "&makeOption<&::kvq::" # pass # "Options::" # option.cppName # ">";
}

foreach option = ResolveScalesPass.options in
  def : PipelineOption<option, "ResolveScalesPass">;
foreach option = GenerateKernelsPass.options in
  def : PipelineOption<option, "GenerateKernelsPass">;

def PipelineOptionTable : GenericTable {
  let FilterClass = "PipelineOption";
  let CppTypeName = "PipelineOptionRow";
  let Fields = ["Argument", "Description", "Make"];
  string TypeOf_Make = "code";
}
