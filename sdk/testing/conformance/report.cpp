#include "sdk/testing/conformance/report.hpp"

#include <algorithm>
#include <cstdio>

#include "core/base/encoding.hpp"

namespace hawser::sdk::conformance {
namespace {

using Kind = Outcome::Kind;

constexpr std::size_t kNameColumn = 22;
constexpr std::size_t kLineBytesMax = 2000;

std::string failure_text(const Ran& ran) {
  return printable(ran.outcome.sentence, kLineBytesMax) + ".\n  Rule: " + std::string(ran.check->asks) + " (" +
         std::string(ran.check->rule) + ").\n  Remedy: " + std::string(ran.check->remedy);
}

std::size_t count(const std::vector<Ran>& all, Kind kind) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const Ran& ran) { return ran.outcome.kind == kind; }));
}

// XML 1.0 has no way to write a control character.
std::string escaped(const std::string& text) {
  std::string xml;
  for (const char c : text) {
    switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        xml += static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return xml;
}

std::string seconds_of(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds);
  return text;
}

std::string case_of(const std::string& plugin, const Ran& ran) {
  const std::string head = "  <testcase classname=\"" + escaped(plugin) + "\" name=\"" + std::string(ran.check->name) +
                           "\" time=\"" + seconds_of(ran.outcome.seconds) + "\"";
  const std::string sentence = escaped(printable(ran.outcome.sentence, kLineBytesMax));
  switch (ran.outcome.kind) {
    case Kind::passed:
      return head + "/>\n";
    case Kind::skipped:
      return head + "><skipped message=\"" + sentence + "\"/></testcase>\n";
    case Kind::failed:
      break;
  }
  std::string output;
  for (const char c : ran.outcome.output) output += c == '\n' ? std::string("\n") : printable(std::string(1, c));
  return head + "><failure message=\"" + sentence + "\">" + escaped(failure_text(ran)) + "</failure><system-out>" +
         escaped(output) + "</system-out></testcase>\n";
}

}  // namespace

std::string line_of(const Ran& ran) {
  std::string name(ran.check->name);
  name.resize(std::max(kNameColumn, name.size() + 1), ' ');
  switch (ran.outcome.kind) {
    case Kind::passed:
      return "ok    " + name + std::string(ran.check->asks) + "\n";
    case Kind::skipped:
      return "-     " + name + "not run: " + printable(ran.outcome.sentence, kLineBytesMax) + "\n";
    case Kind::failed:
      break;
  }
  std::string lines = "FAIL  " + name + failure_text(ran) + "\n";
  if (!ran.outcome.output.empty()) lines += "  It printed: " + printable(ran.outcome.output, kOutputBytesMax) + "\n";
  return lines;
}

std::string summary_of(const std::vector<Ran>& all) {
  return std::to_string(all.size()) + " checks: " + std::to_string(count(all, Kind::passed)) + " passed, " +
         std::to_string(count(all, Kind::failed)) + " failed, " + std::to_string(count(all, Kind::skipped)) +
         " not run\n";
}

std::string junit_of(const std::string& plugin, const std::vector<Ran>& all) {
  double seconds = 0;
  std::string cases;
  for (const auto& ran : all) {
    seconds += ran.outcome.seconds;
    cases += case_of(plugin, ran);
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"hawser-plugin check " + escaped(plugin) +
         "\" tests=\"" + std::to_string(all.size()) + "\" failures=\"" + std::to_string(count(all, Kind::failed)) +
         "\" skipped=\"" + std::to_string(count(all, Kind::skipped)) + "\" time=\"" + seconds_of(seconds) + "\">\n" +
         cases + "</testsuite>\n";
}

}  // namespace hawser::sdk::conformance
