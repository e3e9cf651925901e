#pragma once

#include "core/config/load.hpp"
#include "core/config/schema.hpp"

// What holds between the keys of [cloud], and between them and the device. Each adds faults and warnings, and fills
// what it is about into draft.settings. Blocks on the disk only. Any thread.
namespace hawser::config {

Rule ip_version(IpVersion& into);
// The family of source_ip must be one that ip_version allows. What is not there now, a device, a namespace or an
// address, is a warning: it may come.
void check_binding(const Binding& binding, const Node& server, const std::string& key, Faults& faults);

// Is it there now? Nothing when it is, else a sentence. `source_ip` is looked for in the device's own network.
std::string missing_vpn_instance(const std::string& name);
std::string missing_source_ip(const std::string& address);

// Of password, password_file and password_cipher at most one. A plain password counts only in a file that nobody else
// may read (conn-15).
void take_password(Draft& draft, const DeviceSources& sources, Faults& faults);
// Of [cloud.proxy], else of the environment (conn-22).
void take_proxy(Draft& draft, const DeviceSources& sources, Faults& faults);
// Refuses a model that the guide's tables do not let to this kind of cloud (conn-17).
void check_hardware(const Draft& draft, const Node& root, const std::filesystem::path& config_dir, Faults& faults);

}  // namespace hawser::config
