//! One file per command.

pub mod actions;
pub mod approvals;
pub mod check;
pub mod db;
pub mod db_backup;
pub mod db_epoch;
pub mod db_migrate;
pub mod db_retain;
pub mod db_stats;
pub mod dev;
pub mod dev_replay;
pub mod entry;
pub mod events;
pub mod import;
pub mod init;
pub mod input;
pub mod operators;
pub mod page;
pub mod receipts;
pub mod replay;
pub mod runs;
pub mod schema;
pub mod secrets;
pub mod serve;
pub mod timeline;
mod watch;
pub mod worker;
