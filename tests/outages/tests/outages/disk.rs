//! A full disk.

use std::process::{Child, Command, Stdio};

use session_core::ErrorKind;
use session_outages::{Kind, Machine};
use store_postgres::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use test_servers::RedisServer;

use crate::scene::{LIMIT, Scene};

/// A file system of four megabytes, which is gone when this is dropped or this process ends.
struct SmallDisk {
    path: String,
    end: Child,
}

impl SmallDisk {
    fn mount(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("session-disk-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let as_root = if is_root { "" } else { "sudo -n " };
        let run = |script: String| {
            let mut command = Command::new("sh");
            command.args(["-c", &script]).stdin(Stdio::null());
            command.status().unwrap().success()
        };
        assert!(
            run(format!(
                "{as_root}mount -t tmpfs -o size=4m,mode=777 session-disk {path}"
            )),
            "no small file system can be mounted: run as root, or let sudo mount without a password"
        );
        let unmount = format!("cat >/dev/null; {as_root}umount -l {path}; rmdir {path}");
        let end = Command::new("sh")
            .args(["-c", &unmount])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { path, end }
    }

    /// Leaves no room on it.
    fn fill(&self) {
        let file = std::fs::File::create(format!("{}/filler", self.path)).unwrap();
        let mut writer = std::io::BufWriter::new(file);
        assert!(std::io::copy(&mut std::io::repeat(0), &mut writer).is_err());
        // What is left in the buffer has no room, either.
        let _ = writer.into_parts();
    }

    fn empty(&self) {
        std::fs::remove_file(format!("{}/filler", self.path)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.end.stdin = None;
        let _ = self.end.wait();
    }
}

/// Writes until the store refuses, and says why.
async fn until_refused(scene: &Scene) -> ErrorKind {
    let mut own = scene.store.create(None).await.unwrap();
    for number in 0..2000 {
        let entries = [("a", Some(number))];
        if let Err(error) = scene.store.write(&mut own, &entries, 20_000).await {
            return error.kind();
        }
    }
    panic!("nothing was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_log_has_no_room_refuses_writes_until_it_has() {
    let disk = SmallDisk::mount("redis");
    let server = RedisServer::start(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--auto-aof-rewrite-percentage",
        "0",
        "--dir",
        &disk.path,
    ]);
    let scene = Scene::with(Machine::Redis(server), LIMIT).await;
    let users = scene.users().await;
    disk.fill();
    assert_eq!(until_refused(&scene).await, ErrorKind::Unavailable);
    assert!(scene.store.look(users.reader.id()).await.unwrap());
    disk.empty();
    scene.recovers().await;
    scene.holds().await;
    drop(scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_whose_tables_have_no_room_refuses_writes_until_they_have() {
    let disk = SmallDisk::mount("postgres");
    let scene = Scene::on(Kind::Postgres).await;
    let users = scene.users().await;
    let mut admin = PgConnection::connect(&scene.machine.url()).await.unwrap();
    let folder = format!("{}/space", disk.path);
    let make = format!("COPY (SELECT) TO PROGRAM 'mkdir -m 700 {folder}'");
    admin.execute(raw_sql(AssertSqlSafe(make))).await.unwrap();
    let space = format!("CREATE TABLESPACE small LOCATION '{folder}'");
    admin.execute(raw_sql(AssertSqlSafe(space))).await.unwrap();
    let moved = "ALTER TABLE session_records SET TABLESPACE small";
    admin.execute(raw_sql(moved)).await.unwrap();
    disk.fill();
    assert_eq!(until_refused(&scene).await, ErrorKind::Full);
    assert!(scene.store.look(users.reader.id()).await.unwrap());
    disk.empty();
    scene.recovers().await;
    scene.holds().await;
    drop(scene);
}
