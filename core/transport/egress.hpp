#pragma once

#include <memory>
#include <string>

#include "core/base/files.hpp"
#include "core/base/network.hpp"
#include "core/base/result.hpp"

namespace hawser::transport {

// The calling thread stands in another network namespace while this lives (setns). The way back is opened before it is
// needed; should it fail all the same, the process is ended: nothing may go on in the wrong network. Lives on a stack.
class NamespaceVisit {
 public:
  explicit NamespaceVisit(int target);  // a descriptor of the namespace; negative: no visit
  ~NamespaceVisit();
  NamespaceVisit(const NamespaceVisit&) = delete;
  NamespaceVisit& operator=(const NamespaceVisit&) = delete;

  int error() const { return error_; }  // why the thread stayed at home (errno); 0: it did not

 private:
  Descriptor home_;
  int error_ = 0;
};

// By which way the sockets of one dial leave the device: a Binding that was looked up (conn-14). Owned by and used on
// one thread. A default one leaves everything to the system.
class Egress {
 public:
  Egress() = default;

  // A vpn_instance is first a named network namespace (/run/netns/<name>, as `ip netns` makes them), then a VRF or
  // another network device; where both stand, the namespace counts. Errors: vpn_instance_missing and source_ip_missing
  // name what was looked for. Nothing is sent.
  static Result<Egress> find(const Binding& binding);

  bool allows(int family) const { return family_ == 0 || family == family_; }
  // A close-on-exec, non-blocking socket, made and bound as the binding says; empty and errno set when that failed.
  Descriptor socket(int family, int type) const;
  // What socket() does to a socket that somebody else made in namespace_fd(): 0 or an errno.
  int bind(int socket, int family) const;
  int namespace_fd() const { return namespace_ ? namespace_->get() : -1; }
  // The folder with the namespace's own hosts and resolv.conf (/etc/netns/<name>); empty: the system's count.
  const std::string& names_folder() const { return names_folder_; }
  // " (through vpn_instance red, from 10.0.0.1)", to be put behind an error; empty without a binding.
  const std::string& words() const { return words_; }

 private:
  Status find_instance(const std::string& name);
  Status find_source(const Binding& binding);
  Status check_use(const Binding& binding) const;

  std::shared_ptr<const Descriptor> namespace_;
  std::string device_, names_folder_, source_ip_, words_;
  int family_ = 0;  // 0: both
};

}  // namespace hawser::transport
