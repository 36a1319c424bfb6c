// Why a call failed, for programs: ReasonOf(status). For people there is the status's message. Installed as
// <dolmen/error.h>.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace dolmen {

// Why something failed, beyond the status code. A reason exists only where some caller acts differently on it, or
// where HDFS clients expect a particular exception class. Numbers are on the wire and stored with answers: never reuse.
enum class ErrorReason : uint16_t {
  kNone = 0,                   // the code says it all
  kFileNotFound = 1,           // java.io.FileNotFoundException
  kFileAlreadyExists = 2,      // FileAlreadyExistsException
  kParentNotDirectory = 3,     // ParentNotDirectoryException
  kDirectoryNotEmpty = 4,      // PathIsNotEmptyDirectoryException
  kAccessControl = 5,          // AccessControlException
  kSafeMode = 6,               // SafeModeException
  kLeaseExpired = 7,           // LeaseExpiredException: the caller may no longer write this file
  kAlreadyBeingCreated = 8,    // AlreadyBeingCreatedException
  kRecoveryInProgress = 9,     // RecoveryInProgressException
  kNotReplicatedYet = 10,      // NotReplicatedYetException: ask again shortly
  kInvalidPath = 11,           // InvalidPathException / InvalidPathHandle
  kNameTooLong = 12,           // PathComponentTooLongException, path too long
  kDirectoryFull = 13,         // MaxDirectoryItemsExceededException
  kIllegalArgument = 14,       // HadoopIllegalArgumentException
  kIo = 15,                    // plain IOException
  kOutcomeUnknown = 16,        // the retry's record is gone: it may or may not have been executed
  kBusy = 17,                  // a bounded resource is full: retry after a pause
  kStopped = 18,               // the namenode stopped mutating after a failed commit; it must be restarted
  kNoSpace = 19,               // out of disk space (namenode floor or datanode volume)
  kChecksum = 20,              // bytes do not match their checksums
  kReplicaNotFound = 21,       // the datanode has no such replica
  kStaleGenerationStamp = 22,  // request carries another generation stamp than the replica
  kBadToken = 23,              // access token missing, forged, expired or for something else
  kWrongCluster = 24,          // peer belongs to another cluster
  kStaleEpoch = 25,            // namenode command of an older epoch or other incarnation
  kNotRegistered = 26,         // datanode must register (again) first
  kPipelineFailed = 27,        // a datanode of the write pipeline failed
  kUnreachable = 28,           // no connection to the named address
  kNoDatanodes = 29,           // too few datanodes could take a replica; the text lists each and why
  kBlockMissing = 30,          // no replica of a block could be read; the text lists each and why
  kDamaged = 31,               // stored metadata is damaged
  kCancelled = 32,             // the caller gave up or the stream was closed
};

// What a caller should do about a failure.
enum class RetryAdvice { kRetry, kRetryElsewhere, kGiveUp };

// The reason that came with `status`; kNone for OK and for statuses without one. Thread-safe.
ErrorReason ReasonOf(const absl::Status& status);
// What to do about `status`; kGiveUp for OK too. Thread-safe.
RetryAdvice AdviceFor(const absl::Status& status);

}  // namespace dolmen
