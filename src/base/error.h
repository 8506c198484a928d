// How Sinter fails. Wrong outside (a file, a flag, a request): fail(...) throws Error. Wrong
// inside: SINTER_CHECK aborts, and no input may reach it. "No" is a return value.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace sinter {

// What is wrong with the world. Exit code and (later) HTTP status derive from it.
enum class Fault {
  bad_input,     // exit 2: a flag, a recipe, a suite or a request says something it may not
  not_found,     // exit 2: a file, a tensor or a name that should be there is not
  unsupported,   // exit 4: well formed, but not something Sinter can do
  incompatible,  // exit 4: two things that do not belong together
  corrupt,       // exit 5: bytes that contradict themselves or their digest
  exhausted,     // exit 6: memory, pages or disk that this needs and does not have
  io,            // exit 1: the operating system said no
  interrupted,   // exit 130: stopped by a signal; can be resumed
};

int exit_code(Fault fault);

// An error a user can act on. `code` is stable, lower-case-with-dashes, and has an entry in
// docs/errors.md. The message reads "where: expected, found; what to try".
class Error : public std::exception {
 public:
  Error(Fault fault, std::string_view code, std::string message)
      : fault_(fault), code_(code), message_(std::move(message)) {}
  Fault fault() const { return fault_; }
  const std::string& code() const { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Fault fault_;
  std::string code_;
  std::string message_;
};

// Throws Error with a message formatted by {fmt} (checked at compile time).
template <typename... Args>
[[noreturn]] void fail(Fault fault, std::string_view code, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw Error(fault, code, fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void check_failed(const char* file, int line, const char* expression);

}  // namespace sinter

// An invariant of the program itself. Always on; prints where, and aborts.
#define SINTER_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::sinter::check_failed(__FILE__, __LINE__, #expression))
