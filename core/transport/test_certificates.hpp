#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>

#include "tests/test_folder.hpp"

namespace hawser::transport::test {

using namespace std::chrono_literals;

// A certificate with its key, made while the test runs.
struct Certificate {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;

  std::string certificate_pem() const;
  std::string key_pem() const;
};

struct CertificateRequest {
  std::string common_name = "test";
  std::string alt_names;                          // as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1"; empty: none
  std::chrono::seconds begins = -1h, ends = 24h;  // from now
};

Certificate make_authority(const std::string& common_name = "Test authority");
Certificate issue(const Certificate& authority, const CertificateRequest& request);

}  // namespace hawser::transport::test
