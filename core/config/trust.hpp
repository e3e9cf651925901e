#pragma once

#include <filesystem>
#include <string>

namespace hawser::config {

// What is wrong with a file of CA certificates, as a clause for a fault, and what would be right; empty when it holds
// at least one PEM certificate and no more than the limit. Blocks on the disk only. Any thread.
std::string check_ca_file(const std::filesystem::path& file);

}  // namespace hawser::config
