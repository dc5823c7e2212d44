//! One suite for every cloud: the fake one in every test run, a real one with
//! `cargo nextest run -p services-openstack --run-ignored only` where /etc/openstack/clouds.yaml (or
//! `OS_CLIENT_CONFIG_FILE`) has the clouds of the lab. Between them the checks call every method of
//! every port; each takes away what it made, also when it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod checks;
mod cleanup;
mod fake;
mod lab;
mod site;

use checks::{block_storage, compute, identity, images, network};

macro_rules! on_every_cloud {
    ($($name:ident => $check:path),+ $(,)?) => {
        mod fake_cloud {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                site::run(fake::site(), |on| Box::pin($check(on))).await;
            })+
        }

        mod real_cloud {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a real OpenStack"]
            async fn $name() {
                site::run(lab::site(), |on| Box::pin($check(on))).await;
            })+
        }
    };
}

on_every_cloud! {
    a_volume_is_made_marked_found_and_deleted => block_storage::a_volume_is_made_marked_found_and_deleted,
    a_volume_is_reserved_by_an_attachment_until_that_is_deleted => block_storage::a_volume_is_reserved_by_an_attachment,
    a_snapshot_keeps_its_metadata => block_storage::a_snapshot_keeps_its_metadata,
    volumes_of_others_are_not_there => block_storage::volumes_of_others_are_not_there,
    more_volumes_than_the_quota_are_refused_as_such => block_storage::more_than_the_quota_is_refused_as_such,
    a_server_is_made_of_a_volume_and_a_port_and_deleted => compute::a_server_is_made_and_deleted,
    a_flavor_made_for_a_project_is_seen_there_alone => compute::a_flavor_is_seen_by_its_project_alone,
    a_key_pair_is_found_by_name => compute::a_key_pair_is_found_by_name,
    an_image_has_a_name_and_properties => images::an_image_has_a_name_and_properties,
    a_volume_is_made_of_a_snapshot_or_an_image => block_storage::a_volume_is_made_of_a_snapshot_or_an_image,
    a_volume_for_several_is_reserved_while_in_use => block_storage::a_volume_for_several_is_reserved_while_in_use,
    a_server_made_of_an_image_says_so => compute::a_server_made_of_an_image_says_so,
    a_port_keeps_the_address_and_mac_it_was_made_with => network::a_port_keeps_what_it_was_made_with,
    a_security_group_has_exactly_the_rules_it_was_made_with => network::a_security_group_has_exactly_its_rules,
    subnets_and_routers_are_found_from_the_network => network::subnets_and_routers_are_found,
    a_floating_address_moves_to_a_port_only_when_free => network::a_floating_address_moves_only_when_free,
    a_good_token_says_who_holds_it => identity::a_good_token_says_who_holds_it,
    a_revoked_token_is_refused_after_the_validators_age => identity::a_revoked_token_is_refused,
    a_trust_acts_for_the_tenant_until_it_is_deleted => identity::a_trust_acts_until_it_is_deleted,
    a_wrong_password_is_not_a_lost_trust => identity::a_wrong_password_is_not_a_lost_trust,
}
