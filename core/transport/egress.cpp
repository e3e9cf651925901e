#include "core/transport/egress.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/encoding.hpp"

namespace hawser::transport {
namespace {

constexpr const char* kNamespaces = "/run/netns/";
constexpr const char* kNamesFolder = "/etc/netns/";
constexpr std::size_t kNameBytesMax = 255;  // of a file; a device's name is shorter

Error missing(const std::string& name, const std::string& what) {
  return {"vpn_instance_missing", "vpn_instance " + printable(name) + ": " + what};
}

bool is_same(int one, int other) {
  struct stat a {
  }, b{};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

const char* family_name(int family) { return family == AF_INET ? "IPv4" : "IPv6"; }

struct SourceAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  int family() const { return bytes.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

// Family 0 when `text` is no address.
SourceAddress parse(const std::string& text) {
  SourceAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.bytes);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.bytes);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    address.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    address.size = sizeof *v6;
  }
  return address;
}

}  // namespace

NamespaceVisit::NamespaceVisit(int target) {
  if (target < 0) return;
  home_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const bool at_home = home_ && is_same(home_.get(), target);  // takes no privilege, which a plugin's host lacks
  if (home_ && !at_home && ::setns(target, CLONE_NEWNET) == 0) return;
  error_ = at_home ? 0 : errno;
  home_.reset();
}

NamespaceVisit::~NamespaceVisit() {
  if (!home_ || ::setns(home_.get(), CLONE_NEWNET) == 0) return;
  std::perror("hawser: the way back from a network namespace is shut, and nothing may run on in it");
  std::abort();
}

Result<Egress> Egress::find(const Binding& binding) {
  Egress egress;
  if (binding.ip_version != IpVersion::Any) egress.family_ = binding.ip_version == IpVersion::V4 ? AF_INET : AF_INET6;
  if (!binding.vpn_instance.empty()) {
    if (Status found = egress.find_instance(binding.vpn_instance); !found) return found.error();
    egress.words_ = "through vpn_instance " + binding.vpn_instance;
  }
  if (!binding.source_ip.empty()) {
    if (Status found = egress.find_source(binding); !found) return found.error();
    egress.words_ += (egress.words_.empty() ? "from " : ", from ") + binding.source_ip;
  }
  if (Status usable = egress.check_use(binding); !usable) return usable.error();
  if (!egress.words_.empty()) egress.words_ = " (" + egress.words_ + ")";
  return egress;
}

Status Egress::find_instance(const std::string& name) {
  if (name.size() > kNameBytesMax || name.find('/') != std::string::npos || name == "." || name == ".." ||
      name.find('\0') != std::string::npos)
    return missing(name, "the name of a network namespace or of a network device is due, without /");
  const std::string path = kNamespaces + name;
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file) {
    struct statfs about {};
    if (::fstatfs(file.get(), &about) != 0 || about.f_type != NSFS_MAGIC)
      return missing(name, path + " is no network namespace any more: make it anew with ip netns");
    namespace_ = std::make_shared<const Descriptor>(std::move(file));
    names_folder_ = kNamesFolder + name;
    return ok();
  }
  if (errno != ENOENT) return missing(name, path + " cannot be opened: " + std::strerror(errno));
  if (name.size() >= IFNAMSIZ || ::if_nametoindex(name.c_str()) == 0)
    return missing(name,
                   "there is neither a network namespace " + path + " nor a VRF or other network device of that name");
  device_ = name;
  return ok();
}

Status Egress::find_source(const Binding& binding) {
  const SourceAddress source = parse(binding.source_ip);
  const std::string who = "source_ip " + printable(binding.source_ip);
  if (source.family() == 0) return Error{"source_ip_missing", who + " is no IP address"};
  if (!allows(source.family()))
    return Error{"source_ip_missing", who + " is an " + family_name(source.family()) + " address, but ip_version is " +
                                          (family_ == AF_INET ? "4" : "6") + ": change one of the two"};
  family_ = source.family();
  source_ip_ = binding.source_ip;
  return ok();
}

// Tries the binding on a socket that sends nothing.
Status Egress::check_use(const Binding& binding) const {
  if (!namespace_ && device_.empty() && source_ip_.empty()) return ok();
  const NamespaceVisit visit(namespace_fd());
  if (visit.error() != 0)
    return missing(binding.vpn_instance, std::string("the network namespace cannot be entered: ") +
                                             std::strerror(visit.error()) +
                                             "; it takes CAP_SYS_ADMIN (see hawserd.service)");
  const int family = family_ == 0 ? AF_INET : family_;
  const Descriptor probe(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int error = probe ? bind(probe.get(), family) : errno;
  if (error == 0) return ok();
  if (error == EADDRNOTAVAIL)
    return Error{"source_ip_missing",
                 "source_ip " + binding.source_ip + " is no address of this device" +
                     (binding.vpn_instance.empty() ? "" : " in vpn_instance " + binding.vpn_instance) +
                     ": add it to an interface, or change source_ip"};
  if (!source_ip_.empty() && device_.empty())
    return Error{"source_ip_missing", "source_ip " + binding.source_ip + " cannot be used: " + std::strerror(error)};
  return missing(binding.vpn_instance, std::string("the device cannot be used: ") + std::strerror(error));
}

Descriptor Egress::socket(int family, int type) const {
  const NamespaceVisit visit(namespace_fd());
  if (visit.error() != 0) {
    errno = visit.error();
    return {};
  }
  Descriptor made(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made) return {};
  if (const int error = bind(made.get(), family); error != 0) {
    made.reset();
    errno = error;
  }
  return made;
}

int Egress::bind(int socket, int family) const {
  if (!device_.empty() &&
      ::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, device_.c_str(), static_cast<socklen_t>(device_.size())) != 0)
    return errno;
  if (source_ip_.empty()) return 0;
  const SourceAddress source = parse(source_ip_);
  if (source.family() != family) return EAFNOSUPPORT;  // such a peer cannot be reached from there
  // The port is chosen when the peer is known, or few peers would use up all ports of the address.
  const int on = 1;
  (void)::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  return ::bind(socket, source.get(), source.size) == 0 ? 0 : errno;
}

}  // namespace hawser::transport
