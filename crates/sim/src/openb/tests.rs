//! What the trace's reader takes and refuses.

use proptest::prelude::*;

use super::*;

const HEADER: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n";

fn one_task(line: &str) -> Result<Task, String> {
    let tasks = parse_tasks(format!("{HEADER}{line}\n").as_bytes());
    tasks
        .map(|mut tasks| tasks.remove(0))
        .map_err(|error| error.to_string())
}

#[test]
fn tasks_are_read() {
    let task = one_task("a,6000,12288,1,460,V100M32|T4|T4").unwrap();
    let classes: Vec<_> = task.classes.iter().map(ToString::to_string).collect();
    assert_eq!(classes, ["t4", "v100m32"]);
    assert_eq!((task.shape.gpu_milli, task.shape.cpu_milli), (460, 6_000));
    assert_eq!(one_task("a,1,2,8,1000,").unwrap().shape.gpu_milli, 8_000);
    assert_eq!(one_task("a,1,2,0,,").unwrap().shape.gpu_milli, 0);
}

#[test]
fn columns_may_stand_elsewhere_and_those_not_needed_be_missing() {
    let text = "num_gpu,gpu_milli,memory_mib,cpu_milli\n1,500,2,3\n";
    let tasks = parse_tasks(text.as_bytes()).unwrap();
    assert_eq!(
        (tasks[0].shape.gpu_milli, tasks[0].shape.cpu_milli),
        (500, 3)
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    assert_eq!(
        one_task("a,NaN,2,1,1000,").unwrap_err(),
        "line 2, column `cpu_milli`: `NaN`: a whole number from 0 to 1099511627776 is expected"
    );
    assert_eq!(
        one_task("a,1,2,2,500,").unwrap_err(),
        "line 2, column `gpu_milli`: `500`: several GPUs are asked for whole: 1000 is expected"
    );
    assert_eq!(
        one_task("a,1,2,1,0,").unwrap_err(),
        "line 2, column `gpu_milli`: `0`: one GPU is asked for, but nothing of it"
    );
    assert_eq!(
        one_task("a,0,0,0,0,").unwrap_err(),
        "line 2, column `num_gpu`: `0`: nothing is asked for at all"
    );
    assert!(one_task("a,1,2,65,1000,").unwrap_err().contains("0 to 64"));
    assert!(
        one_task("a,1,2,1,1000,a b")
            .unwrap_err()
            .contains("`a b` is not a hardware class")
    );
    let missing = parse_tasks(b"name,cpu_milli\na,1\n").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "column `num_gpu` is missing: the header has [\"cpu_milli\", \"name\"]"
    );
}

#[test]
fn what_is_there_twice_is_refused_with_both_lines() {
    let nodes = |text: &str| parse_machines(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        nodes("sn,cpu_milli,memory_mib,gpu,model\nn1,1,2,8,G2\nn2,1,2,8,G2\nn1,1,2,8,G2\n"),
        "line 4, column `sn`: `n1`: line 2 has it too: leave one of them out"
    );
    assert_eq!(
        nodes("cpu_milli,memory_mib,GPU,model,gpu \n1,2,0,G2,8\n"),
        "line 1: two columns are called `gpu`: leave one of them out"
    );
    let tasks = parse_tasks(format!("{HEADER}a,1,2,1,500,\na,1,2,1,500,\n").as_bytes());
    assert_eq!(
        tasks.unwrap_err().to_string(),
        "line 3, column `name`: `a`: line 2 has it too: leave one of them out"
    );
    let nameless = "name,,cpu_milli,memory_mib,num_gpu,gpu_milli,\n,,1,2,1,500,\n,,1,2,1,500,\n";
    assert_eq!(parse_tasks(nameless.as_bytes()).unwrap().len(), 2);
}

#[test]
fn machines_are_read() {
    let text = "sn,cpu_milli,memory_mib,gpu,model\nn0,96000,393216,8,G2\nn1,32000,262144,0,\n";
    let machines = parse_machines(text.as_bytes()).unwrap();
    assert_eq!(machines[0].capacity.gpus, 8);
    assert_eq!(
        (machines[0].class.as_str(), machines[1].class),
        ("g2", Class::CPU)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, lines in "[a,0-9|\"\n.-]{0,80}") {
        let _either = (parse_tasks(&bytes).is_ok(), parse_machines(&bytes).is_ok());
        let text = format!("{HEADER}{lines}");
        for task in parse_tasks(text.as_bytes()).into_iter().flatten() {
            prop_assert!(remuda_placement::Request::new(task.shape).is_ok());
        }
    }
}
