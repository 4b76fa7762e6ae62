//===- ArtefactDirectoryTest.cpp - Folders that may lie -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/ArtefactDirectory.h"
#include "../TemporaryFolder.h"
#include "Sample.h"
#include "kvq/Artefact/Hash.h"
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace kvq;
namespace fs = std::filesystem;

namespace {

/// A folder with the sample's manifest and its file, 'code'.
class ArtefactDirectoryTest : public testing::Test {
protected:
  void SetUp() override {
    write("sm_90.ptx", "code");
    Manifest manifest = sampleManifest();
    manifest.hashes[0].sha256 = *sha256Text("code");
    write("manifest.json", toJsonText(manifest));
  }

  void write(const std::string &name, const std::string &text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  std::string openError() {
    Result<ArtefactDirectory> directory = ArtefactDirectory::open(folder.string());
    return directory ? "" : directory.error();
  }
  std::string readError() {
    Result<ArtefactDirectory> directory = ArtefactDirectory::open(folder.string());
    if (!directory)
      return directory.error();
    Result<std::string> bytes = directory->read("sm_90.ptx");
    return bytes ? "" : bytes.error();
  }

  test::TemporaryFolder temporary;
  const fs::path &folder = temporary.path();
};

} // namespace

static bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

TEST(Hash, IsSha256) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(*sha256Text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*sha256Text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(ArtefactDirectoryTest, ReadsWhatTheManifestNames) {
  Result<ArtefactDirectory> directory = ArtefactDirectory::open(folder.string());
  ASSERT_TRUE(directory) << directory.error();
  EXPECT_EQ(directory->manifest().targets[0].target, "sm_90");
  Result<std::string> bytes = directory->read("sm_90.ptx");
  ASSERT_TRUE(bytes) << bytes.error();
  EXPECT_EQ(*bytes, "code");
  EXPECT_TRUE(contains(directory->read("manifest.json").error(), "the manifest names"));
  EXPECT_TRUE(contains(directory->read("../x").error(), "the manifest names"));
}

TEST_F(ArtefactDirectoryTest, StaysWithTheFolderThatWasOpened) {
  Result<ArtefactDirectory> directory = ArtefactDirectory::open(folder.string());
  ASSERT_TRUE(directory) << directory.error();
  fs::path aside = folder.string() + "-aside";
  fs::rename(folder, aside);
  fs::create_directory(folder);
  write("sm_90.ptx", "evil");
  Result<std::string> bytes = directory->read("sm_90.ptx");
  fs::remove_all(aside);
  ASSERT_TRUE(bytes) << bytes.error();
  EXPECT_EQ(*bytes, "code");
}

TEST_F(ArtefactDirectoryTest, ALinkToTheFolderIsFine) {
  fs::path link = folder.string() + "-link";
  fs::create_directory_symlink(folder, link);
  bool good = bool(ArtefactDirectory::open(link.string()));
  fs::remove(link);
  EXPECT_TRUE(good);
}

TEST_F(ArtefactDirectoryTest, RefusesOtherBytes) {
  write("sm_90.ptx", "Code");
  EXPECT_TRUE(contains(readError(), "sm_90.ptx: expected the SHA-256 ")) << readError();
  write("sm_90.ptx", "cod");
  EXPECT_TRUE(contains(readError(), "sm_90.ptx: expected the SHA-256 "));
}

TEST_F(ArtefactDirectoryTest, RefusesWhatIsNoFile) {
  fs::path file = folder / "sm_90.ptx";
  write("other", "code");
  fs::remove(file);
  EXPECT_TRUE(contains(readError(), "No such file"));
  fs::create_symlink("other", file);
  EXPECT_TRUE(contains(readError(), "a symbolic link")) << readError();
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_TRUE(contains(readError(), "a folder")) << readError();
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_TRUE(contains(readError(), "a pipe")) << readError();
}

TEST_F(ArtefactDirectoryTest, RefusesOtherFolders) {
  fs::rename(folder / "manifest.json", folder / "aside");
  EXPECT_TRUE(contains(openError(), "no 'manifest.json'"));
  fs::create_symlink("aside", folder / "manifest.json");
  EXPECT_TRUE(contains(openError(), "a symbolic link"));
  std::string file = (folder / "aside").string();
  EXPECT_TRUE(contains(ArtefactDirectory::open(file).error(), "but got a file"));
  EXPECT_TRUE(contains(ArtefactDirectory::open(file + "x").error(), "No such file"));
}

TEST_F(ArtefactDirectoryTest, BoundsSizes) {
  fs::resize_file(folder / "sm_90.ptx", ArtefactDirectory::maxFileSize + 1);
  EXPECT_TRUE(contains(readError(), "at most")) << readError();
  fs::resize_file(folder / "manifest.json", ArtefactDirectory::maxManifestSize + 1);
  EXPECT_TRUE(contains(openError(), "at most")) << openError();
}

TEST_F(ArtefactDirectoryTest, ListsWhatIsNotItsOwn) {
  write("z", "");
  write(".a", "");
  Result<ArtefactDirectory> directory = ArtefactDirectory::open(folder.string());
  ASSERT_TRUE(directory) << directory.error();
  EXPECT_EQ(*directory->listUnknown(), (std::vector<std::string>{".a", "z"}));
  EXPECT_EQ(*directory->listUnknown(), (std::vector<std::string>{".a", "z"}));
}
