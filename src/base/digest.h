// SHA-256 (OpenSSL), as lower-case hexadecimal. The identity of everything that evidence names.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sinter {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text);
  std::string hex();  // finishes; call once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
std::string sha256_file(const std::string& path);

}  // namespace sinter
