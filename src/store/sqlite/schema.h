#pragma once

#include <string>

#include "base/result.h"
#include "store/sqlite/database.h"

namespace kuma::store::sqlite {

// Newest version that this program can write.
int NewestSchemaVersion();

// kInvalid: the file belongs to another program. Changes nothing.
base::Status CheckOwner(Database& database, const std::string& path);

// Brings the tables of `path` to the newest version, step by step, each in a transaction of its
// own. REQUIRES: CheckOwner. kInvalid: a newer program wrote it.
base::Status Migrate(Database& database, const std::string& path);

}  // namespace kuma::store::sqlite
