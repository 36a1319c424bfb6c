# The libraries Dolmen stands on, all Debian 12 packages, listed once. deploy/install-packages.sh installs them.

find_package(Threads REQUIRED)
find_package(RocksDB REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(GTest REQUIRED CONFIG)
find_package(tomlplusplus REQUIRED CONFIG)
find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_library(ISAL_LIBRARY isal REQUIRED)
include(DolmenArchives)

add_library(dolmen_isal INTERFACE)
target_link_libraries(dolmen_isal INTERFACE ${ISAL_LIBRARY})
add_library(Dolmen::isal ALIAS dolmen_isal)

# What `dolmen dfs -text` unpacks. Statically, as loading them would cost every command; zlib comes with protobuf.
dolmen_archive(bz2_archive bz2)
dolmen_archive(zstd_archive zstd)
add_library(dolmen_compression INTERFACE)
target_link_libraries(dolmen_compression INTERFACE ${bz2_archive} ${zstd_archive} z Threads::Threads)
add_library(Dolmen::compression ALIAS dolmen_compression)
