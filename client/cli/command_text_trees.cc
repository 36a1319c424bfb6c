// Usage and help of the commands about space, attributes and whole trees.
#include "client/cli/command_text.h"

namespace dolmen::cli {
namespace {

constexpr CommandText kTreeCommands[] = {
    {"checksum", "[-v] <src> ...",
     "Print the checksum of every file that matches <src>, with the name of its algorithm: the MD5 of the MD5s of the "
     "blocks' CRC32Cs. Files with equal bytes and equal block sizes have equal checksums, here and in HDFS.\n"
     "-v: Show the block size too."},
    {"chgrp", "[-R] GROUP PATH...", "This is equivalent to -chown ... :GROUP ..."},
    {"chmod", "[-R] <MODE[,MODE]... | OCTALMODE> PATH...",
     "Change the permissions of files and directories. This works as the shell's chmod with a few exceptions.\n"
     "-R: Change what is in directories too.\n"
     "MODE is as for the shell's chmod, of the letters rwxXt, e.g. +t,a+r,g-w,+rwx,o=r\n"
     "OCTALMODE has 3 or 4 digits. With 4 digits the first is 1 or 0 and turns the sticky bit on or off; with 3 it is "
     "off. It is not possible to give only part of the mode, e.g. 754 is the same as u=rwx,g=rx,o=r\n"
     "Without any of augo, a is meant, and unlike in the shell no umask is applied."},
    {"chown", "[-R] [OWNER][:[GROUP]] PATH...",
     "Change the owner and the group of files and directories. This is as the shell's chown with a few exceptions.\n"
     "-R: Change what is in directories too.\n"
     "If only the owner or only the group is given, the other stays. Names may have letters, digits and any of "
     "-+_./@ and their case matters. Don't use '.' to separate user and group."},
    {"concat", "<target path> <src path> <src path> ...",
     "Append the source files to the target file, without copying, and remove them. All of them must be in one "
     "directory."},
    {"count", "[-q] [-h] [-v] [-t [<storage type>]] [-u] [-x] [-e] [-s] <path> ...",
     "Count the directories, files and bytes below the paths that match <path>. The columns are:\n"
     "DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME\n"
     "or, with -q:\n"
     "QUOTA REM_QUOTA SPACE_QUOTA REM_SPACE_QUOTA DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME\n"
     "There are no quotas: they are shown as none, and what remains of them as inf.\n"
     "-h: Show numbers with unit prefixes.\n"
     "-v: Show a header line.\n"
     "-t <types>: With -q or -u, show the quotas of the given storage types, a comma list, or of all.\n"
     "-u: Show the quotas, not the counts.\n"
     "-x: Leave out what only snapshots hold; there are none.\n"
     "-e: Show the erasure coding policy; there is none.\n"
     "-s: Show the snapshots' counts; they are 0."},
    {"df", "[-h] [<path> ...]",
     "Show the capacity of the file system, and how much of it is used and free.\n"
     "-h: Show sizes with unit prefixes rather than as a number of bytes."},
    {"du", "[-s] [-h] [-v] [-x] <path> ...",
     "Show how many bytes the files and directories that match <path> have. Of a directory its entries are shown, one "
     "level deep. The columns are:\n"
     "size disk_space_of_all_replicas path\n"
     "-s: Show one sum for each <path>, not its entries.\n"
     "-h: Show sizes with unit prefixes rather than as a number of bytes.\n"
     "-v: Show a header line.\n"
     "-x: Leave out what only snapshots hold; there are none."},
    {"dus", "", "(DEPRECATED) Same as 'du -s'", "du -s"},
    {"find", "<path> ... <expression> ...",
     "Find all files that match the expression below the paths. Without a path, the home directory is searched; "
     "without an expression, -print is meant.\n"
     "These are expressions:\n"
     "-name <pattern>: True if the base name matches the pattern; -iname ignores the case of letters.\n"
     "-print: True; prints the path and a newline. -print0 prints a zero byte instead of the newline.\n"
     "and their combinations:\n"
     "<expression> -a <expression>: True if both are; the second is not looked at if the first is false.\n"
     "<expression> -and <expression>: The same.\n"
     "<expression> <expression>: The same."},
    {"rmdir", "[--ignore-fail-on-non-empty] <dir> ...",
     "Remove directories that are empty.\n"
     "--ignore-fail-on-non-empty: Don't fail for those that are not."},
    {"setrep", "[-R] [-w] <rep> <path> ...",
     "Set how many replicas a file has. Of a directory all files below it are changed. The copies are made or removed "
     "in the background.\n"
     "-w: Wait until that is done. This can take very long.\n"
     "-R: Accepted for compatibility; it has no effect."},
    {"truncate", "[-w] <length> <path> ...",
     "Cut all files that match <path> to the given length.\n"
     "-w: Wait until the last block is cut, if it has to be."},
};

}  // namespace

std::span<const CommandText> TreeCommandTexts() { return kTreeCommands; }

}  // namespace dolmen::cli
