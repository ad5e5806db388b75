//! A lab removes everything that it has made, however it ends. These tests need root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use causeway_lab::{Family, Lab, Options, Site, remove_leftovers};

fn options() -> Options {
    Options {
        gateways: 1,
        ..Options::new("/nonexistent/causeway", "/nonexistent/causeway-xdp.o")
    }
}

/// The remains of a lab: namespaces, record and folder.
fn remains(id: &str) -> Vec<String> {
    let mut remains = Vec::new();
    for folder in ["/run/netns", "/run/causeway-lab"] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        remains.extend(names.filter(|name| name.contains(id)));
    }
    remains
}

/// Starts `causeway-lab` and waits until its lab is up.
fn holder() -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_causeway-lab"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(rest) = line.strip_prefix("lab ") {
            return (child, rest.split(' ').next().unwrap().to_owned());
        }
    }
    panic!("causeway-lab ended early with {}", child.wait().unwrap());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_largest_lab_leaves_nothing() {
    let options = Options {
        gateways: 10,
        ..options()
    };
    let lab = Lab::new(options).unwrap();
    let id = lab.id().to_owned();
    assert!(!remains(&id).is_empty());
    drop(lab);
    assert_eq!(remains(&id), Vec::<String>::new());
}

#[test]
fn a_lab_is_not_affected_by_the_removal_of_another() {
    let one = Lab::new(options()).unwrap();
    let two = Lab::new(options()).unwrap();
    assert_ne!(one.id(), two.id());
    drop(one);
    let inside = two.inside(Site::host(1, 1), || {
        Ok(std::net::UdpSocket::bind((Site::host(1, 1).address(Family::Ipv4), 0)).is_ok())
    });
    assert!(
        inside.unwrap(),
        "the second lab has lost its host's address"
    );
}

#[test]
fn a_panic_removes_the_lab() {
    let lab = Lab::new(options()).unwrap();
    let id = lab.id().to_owned();
    let panic = std::thread::spawn(move || {
        let _lab = lab;
        panic!("on purpose");
    });
    assert!(panic.join().is_err());
    assert_eq!(remains(&id), Vec::<String>::new());
}

#[test]
fn ctrl_c_removes_the_lab() {
    let (mut child, id) = holder();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(remains(&id), Vec::<String>::new());
}

#[test]
fn leftovers_of_a_killed_run_are_removed_with_their_processes() {
    let (mut child, id) = holder();
    let namespace = format!("cwlab-{id}-v1-host-1");
    let mut inside = Command::new("ip")
        .args(["netns", "exec", &namespace, "sleep", "30"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let net = format!("/proc/{}/ns/net", inside.id());
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    wait_until("sleep is inside", || {
        std::fs::read_link(&net).is_ok_and(|net| net != own)
    });
    remove_leftovers().unwrap();
    assert!(
        !remains(&id).is_empty(),
        "the lab of a running owner was removed"
    );

    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !remains(&id).is_empty(),
        "a killed process cannot have removed its lab"
    );
    remove_leftovers().unwrap();
    assert_eq!(remains(&id), Vec::<String>::new());
    wait_until("sleep ends", || inside.try_wait().unwrap().is_some());
}

#[test]
fn the_machine_itself_is_not_changed() {
    let own = || {
        let mut state = String::new();
        for arguments in [["link", "show"], ["route", "show"], ["rule", "show"]] {
            let output = Command::new("ip").args(arguments).output().unwrap();
            state += &String::from_utf8(output.stdout).unwrap();
        }
        for setting in ["ip_forward", "conf/all/rp_filter", "conf/default/rp_filter"] {
            let path = Path::new("/proc/sys/net/ipv4").join(setting);
            state += &std::fs::read_to_string(path).unwrap();
        }
        state
    };
    let before = own();
    let lab = Lab::new(options()).unwrap();
    assert_eq!(own(), before);
    drop(lab);
    assert_eq!(own(), before);
}

#[test]
fn a_role_that_ends_early_is_reported_with_its_output() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let stand_in = folder.path().join("causeway");
    let script = "#!/bin/sh\ncase $1 in\n\
        key) touch \"$5\";;\n\
        *) echo 'no such device' >&2; exit 7;;\nesac\n";
    std::fs::write(&stand_in, script).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut lab = Lab::new(Options {
        causeway: stand_in,
        ..options()
    })
    .unwrap();
    let error = lab.start_roles().unwrap_err().to_string();
    assert!(error.contains("ended early"), "{error}");
    assert!(error.contains("no such device"), "{error}");
}
