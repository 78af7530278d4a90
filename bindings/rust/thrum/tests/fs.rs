//! Files.
//!
//! SPDX-License-Identifier: MIT

use std::io::{ErrorKind, Read};
use thrum::{fs, offload, run};

#[test]
fn files_come_and_go() {
    let dir = std::env::temp_dir().join(format!("thrum-fs-test-{}", std::process::id()));
    run(|| {
        let inner = dir.join("a").join("b");
        fs::create_dir_all(&inner).unwrap();
        let (one, two) = (inner.join("one"), inner.join("two"));
        fs::write(&one, [7; 1000]).unwrap();
        assert_eq!(fs::metadata(&one).unwrap().len(), 1000);
        fs::rename(&one, &two).unwrap();
        assert!(fs::read_dir(&inner).unwrap().iter().eq([&two]));
        assert_eq!(fs::read(&two).unwrap(), [7; 1000]);
        let mut file = fs::open(&two).unwrap();
        let mut start = [0; 3];
        offload(|| file.read_exact(&mut start)).unwrap();
        assert_eq!(start, [7; 3]);
        assert_eq!(fs::read(&one).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(&two, [0xff]).unwrap();
        assert_eq!(fs::read_to_string(&two).unwrap_err().kind(), ErrorKind::InvalidData);
        fs::remove_file(&two).unwrap();
        assert!(fs::read_dir(&inner).unwrap().is_empty());
        fs::remove_dir_all(&dir).unwrap();
        assert!(fs::metadata(&dir).is_err());
    });
    // An OS thread just blocks.
    assert!(fs::read_to_string("/proc/self/comm").is_ok());
}
