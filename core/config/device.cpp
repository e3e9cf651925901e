#include "core/config/device.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <cctype>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/config/forms.hpp"

namespace hawser::config {
namespace {

constexpr std::size_t kAttributeBytesMax = 4096;

// What boards carry whose maker never wrote a real value; lower case, compared whole.
constexpr std::string_view kJunk[] = {
    "none",
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "default string",
    "default",
    "system serial number",
    "system product name",
    "not specified",
    "not applicable",
    "not available",
    "n/a",
    "na",
    "unknown",
    "invalid",
    "oem",
    "o.e.m.",
    "empty",
    "null",
    "test",
    "serial",
    "chassis serial number",
    "0123456789",
    "123456789",
    "1234567890",
    "tobefilledbyo.e.m.",
    "product name",
    "type1productconfigid",
    "undefined",
    "filled by oem",
};

std::string trimmed(std::string text) {
  const auto is_blank = [](unsigned char c) { return c == '\0' || std::isspace(c); };
  while (!text.empty() && is_blank(static_cast<unsigned char>(text.back()))) text.pop_back();
  const auto first = std::find_if_not(text.begin(), text.end(), is_blank);
  text.erase(text.begin(), first);
  return text;
}

bool is_junk(const std::string& value) {
  if (value.empty()) return true;
  std::string lower = value;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::find(std::begin(kJunk), std::end(kJunk), lower) != std::end(kJunk)) return true;
  // "00000000", "xxxxxxxx", "--------", "0000-0000": one character over and over, separators aside.
  const auto is_separator = [](char c) { return c == '-' || c == '.' || c == '_' || c == ' ' || c == ':'; };
  std::erase_if(lower, is_separator);
  return lower.empty() || std::all_of(lower.begin(), lower.end(), [&](char c) { return c == lower[0]; });
}

// The first of the two attributes that can serve, or what is wrong with the one that came nearest.
Result<std::string> first_good(const std::filesystem::path& dmi, const std::filesystem::path& tree,
                               std::string (*check)(const std::string&)) {
  Error problem{"not_found", "the hardware names none"};
  for (const auto& file : {dmi, tree}) {
    const auto content = read_file(file, kAttributeBytesMax);
    if (!content) {
      if (content.error().code != "not_found") problem = content.error();
      continue;
    }
    const std::string value = trimmed(*content);
    if (is_junk(value)) {
      problem = {"not_found", "\"" + printable(value, 64) + "\" in " + file.string() + " is no real one"};
    } else if (const auto wanted = check(value); !wanted.empty()) {
      problem = {"not_found", "\"" + printable(value, 64) + "\" in " + file.string() + " is not " + wanted};
    } else {
      return value;
    }
  }
  return problem;
}

}  // namespace

Result<std::string> hardware_serial(const DeviceSources& sources) {
  return first_good(sources.dmi / "product_serial", sources.device_tree / "serial-number", check_serial);
}

Result<std::string> hardware_model(const DeviceSources& sources) {
  return first_good(sources.dmi / "product_name", sources.device_tree / "model", check_model);
}

std::string system_hostname() {
  utsname about{};
  const std::string name = ::uname(&about) == 0 ? about.nodename : "";
  return check_domain(name).empty() ? name : "localhost";
}

}  // namespace hawser::config
