#pragma once

// A tree of commands with flags, spoken as Kuma's tools speak it: flags before or after the command
// and its arguments, flags of a group valid for its commands, the same error texts and exit codes.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kuma::cli {

using StringMap =
    std::vector<std::pair<std::string, std::string>>;  // in the order given; later ones win
using Strings = std::vector<std::string>;

// One flag. The target holds the default before the command line is read, and outlives it. Several
// values of a map ("a=b,c=d") or list ("a,b") may stand in one flag, and the flag may be repeated.
// With `bare`, the flag may stand without a value ("--wait"), and takes one after "=" only.
struct Flag {
  using Target = std::variant<std::string*, bool*, int64_t*, StringMap*, Strings*>;

  std::string name;  // "file": --file
  char letter = 0;   // 'f': -f
  std::string help;
  Target target;
  bool required = false;
  std::string bare = {};  // what the flag means without a value; empty: it needs one
  Strings values = {};    // what may be given, for help and completion; empty: anything
};

// A command, or a group if it has no `run`.
struct Command {
  std::string name;
  std::vector<std::string> aliases;
  // "TYPE NAME": shown in the usage line, counted and required; from a '[' on, optional.
  std::string arguments;
  std::string help;
  std::vector<Flag> flags;  // of the command and everything below it
  std::vector<Command> children;
  std::function<base::Status(const Strings& arguments)> run;
  Strings first_argument = {};  // what the first argument may be, for completion; empty: anything
  std::string example = {};     // shown by --help
};

// Finds the command, reads its flags, runs it. Prints help to `out`; "Error: ..." and, for a wrong
// use, the usage text to `err`. Returns the exit code.
int RunCommandLine(const Command& root, const Strings& args, std::ostream& out, std::ostream& err);

// What may stand in the place of the last word of a command line, which is not finished: commands,
// flags, values of flags, first arguments. Each with a description, or "".
std::vector<std::pair<std::string, std::string>> CompleteCommandLine(const Command& root,
                                                                     const Strings& words);

// The names that the user may have meant, the nearest first; at most three.
Strings Nearest(const std::string& word, const Strings& names);

}  // namespace kuma::cli
