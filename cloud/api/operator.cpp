#include "cloud/api/operator.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/encoding.hpp"

namespace hawser::cloud {

namespace {
constexpr std::size_t kNameBytesMax = 64;
}

std::string operator_name() {
  const passwd* user = ::getpwuid(::getuid());
  std::string name = user ? printable(user->pw_name, kNameBytesMax) : "user " + std::to_string(::getuid());
  if (const char* asked = std::getenv("SUDO_USER"); asked && *asked)
    name += " (sudo by " + printable(asked, kNameBytesMax) + ")";
  return name;
}

}  // namespace hawser::cloud
