#include "diff.hpp"

#include "limits.hpp"
#include "tests/catch.hpp"

namespace hawser::config_push {
namespace {

std::string diff(std::string_view before, std::string_view after) { return unified_diff("a", before, "b", after); }

TEST_CASE("[cfg-3] equal texts have no difference") {
  CHECK(diff("", "").empty());
  CHECK(diff("one\n", "one\n").empty());
}

TEST_CASE("[cfg-3] a change stands between three lines of context, as diff -u writes it") {
  CHECK(diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
        "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("[cfg-3] changes far apart are two hunks, changes near each other are one") {
  const std::string text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n";
  std::string far = text, near = text;
  far.replace(far.find("1\n"), 2, "one\n");
  far.replace(far.find("15\n"), 3, "last\n");
  near.replace(near.find("5\n"), 2, "five\n");
  near.replace(near.find("10\n"), 3, "ten\n");
  CHECK(diff(text, far) ==
        "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n@@ -12,4 +12,4 @@\n 12\n 13\n 14\n-15\n+last\n");
  CHECK(diff(text, near).find("@@ -2,12 +2,12 @@") != std::string::npos);
}

TEST_CASE("[cfg-3] a new file, a removed one and a last line without newline") {
  CHECK(diff("", "x\ny\n") == "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n");
  CHECK(diff("x\n", "") == "--- a\n+++ b\n@@ -1 +0,0 @@\n-x\n");
  CHECK(diff("x\n", "x") == "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+x\n\\ No newline at end of file\n");
}

TEST_CASE("[cfg-3] lines that moved are found by the longest common subsequence") {
  CHECK(diff("a\nb\nc\n", "b\nc\na\n") == "--- a\n+++ b\n@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n");
}

TEST_CASE("[cfg-3] binary and large files are said to differ, and a long changed middle is shown as a whole in time") {
  CHECK(diff(std::string("a\0b", 3), "x") == "Binary files a and b differ\n");
  CHECK(diff(std::string(kDiffFileBytesMax + 1, 'x'), "x") == "Large files a and b differ\n");
  std::string before, after;
  for (int i = 0; i < 20000; ++i)
    before += "old " + std::to_string(i) + "\n", after += "new " + std::to_string(i) + "\n";
  CHECK(diff(before, after).size() ==
        before.size() + after.size() + 40000 + std::string("--- a\n+++ b\n@@ -1,20000 +1,20000 @@\n").size());
}

}  // namespace
}  // namespace hawser::config_push
