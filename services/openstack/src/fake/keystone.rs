//! Keystone: password and trust log-ins, tokens, trusts, the catalog.

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::server::{Call, Outcome, Reply};
use super::state::{Project, State, Token, Trust, User, new_hex_id};

pub(super) fn unauthorized() -> Reply {
    let message = "The request you have made requires authentication.";
    Reply::new(
        401,
        json!({ "error": { "code": 401, "message": message, "title": "Unauthorized" } }),
    )
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::new(
        status,
        json!({ "error": { "code": status, "message": message, "title": "Refused" } }),
    )
}

pub(super) fn answer(state: &mut State, call: &Call) -> Outcome {
    let (method, path) = call.route();
    match (method, path.as_slice()) {
        ("POST", ["auth", "tokens"]) => log_in(state, call),
        ("GET", ["auth", "tokens"]) => validate(state, call),
        ("DELETE", ["auth", "tokens"]) => revoke(state, call),
        ("POST", ["OS-TRUST", "trusts"]) => trust_create(state, call),
        ("GET", ["OS-TRUST", "trusts", id]) => trust_show(state, call, id),
        ("DELETE", ["OS-TRUST", "trusts", id]) => trust_delete(state, call, id),
        _ => Err(refused(404, "The resource could not be found.")),
    }
}

fn log_in(state: &mut State, call: &Call) -> Outcome {
    let user = |field: &str| call.text(&format!("/auth/identity/password/user/{field}"));
    let found = state
        .users
        .iter()
        .find(|u| Some(u.name.as_str()) == user("name"));
    let user_id = found
        .filter(|u| Some(u.password.as_str()) == user("password"))
        .map(|u| u.id.clone())
        .ok_or_else(unauthorized)?;
    let token = match call.text("/auth/scope/OS-TRUST:trust/id") {
        Some(trust_id) => trust_token(state, &user_id, trust_id)?,
        None => project_token(state, &user_id, call.text("/auth/scope/project/name"))?,
    };
    let id = format!("fake-{}", new_hex_id());
    let body = describe(state, &token, true);
    state.tokens.insert(id.clone(), token);
    Ok(Reply {
        subject_token: Some(id),
        ..Reply::new(201, body)
    })
}

fn project_token(state: &State, user_id: &str, project: Option<&str>) -> Result<Token, Reply> {
    let project = state
        .projects
        .iter()
        .find(|p| Some(p.name.as_str()) == project)
        .ok_or_else(unauthorized)?;
    let roles = state.grants.get(&(user_id.to_owned(), project.id.clone()));
    Ok(Token {
        user_id: user_id.to_owned(),
        project_id: project.id.clone(),
        roles: roles
            .filter(|r| !r.is_empty())
            .cloned()
            .ok_or_else(unauthorized)?,
        trust_id: None,
        expires_at: Utc::now() + state.token_lifetime,
    })
}

/// Keystone tells nobody who is not logged in that a trust is gone: 401, as for a wrong password.
fn trust_token(state: &State, trustee_id: &str, trust_id: &str) -> Result<Token, Reply> {
    let trust = state.trusts.get(trust_id).ok_or_else(unauthorized)?;
    if trust.trustee_user_id != trustee_id {
        return Err(refused(403, "User is not a trustee."));
    }
    let granted = state
        .grants
        .get(&(trust.trustor_user_id.clone(), trust.project_id.clone()));
    let still_has = |role: &String| granted.is_some_and(|roles| roles.contains(role));
    if !trust.roles.iter().all(still_has) {
        return Err(refused(403, "Trustor no longer has the role."));
    }
    Ok(Token {
        user_id: trust.trustor_user_id.clone(),
        project_id: trust.project_id.clone(),
        roles: trust.roles.clone(),
        trust_id: Some(trust_id.to_owned()),
        expires_at: Utc::now() + state.token_lifetime,
    })
}

fn validate(state: &State, call: &Call) -> Outcome {
    state.who(call.token.as_deref()).ok_or_else(unauthorized)?;
    let subject = call.subject_token.as_deref().unwrap_or_default();
    let token = state
        .good_token(subject)
        .ok_or_else(|| refused(404, "Could not find token"))?;
    Ok(Reply::ok(describe(
        state,
        token,
        call.param("nocatalog").is_none(),
    )))
}

fn revoke(state: &mut State, call: &Call) -> Outcome {
    state.who(call.token.as_deref()).ok_or_else(unauthorized)?;
    state
        .tokens
        .remove(call.subject_token.as_deref().unwrap_or_default());
    Ok(Reply::done())
}

fn describe(state: &State, token: &Token, with_catalog: bool) -> Value {
    let domain = json!({ "id": "default", "name": "Default" });
    let user = state
        .users
        .iter()
        .find(|u| u.id == token.user_id)
        .map(|u: &User| u.name.as_str());
    let project = state
        .projects
        .iter()
        .find(|p| p.id == token.project_id)
        .map(|p: &Project| p.name.as_str());
    let mut body = json!({
        "methods": ["password"],
        "user": { "id": token.user_id, "name": user, "domain": domain },
        "project": { "id": token.project_id, "name": project, "domain": domain },
        "roles": token.roles.iter().map(|name| json!({ "id": name, "name": name })).collect::<Vec<_>>(),
        "expires_at": token.expires_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "issued_at": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
    });
    if let Some(id) = &token.trust_id {
        body["OS-TRUST:trust"] = json!({ "id": id, "impersonation": true });
    }
    if with_catalog {
        body["catalog"] = catalog(state, &token.project_id);
    }
    json!({ "token": body })
}

fn catalog(state: &State, project_id: &str) -> Value {
    let services = [
        ("identity", "identity/v3".to_owned()),
        ("compute", "compute/v2.1".to_owned()),
        ("volumev3", format!("volume/v3/{project_id}")),
        ("image", "image".to_owned()),
        ("network", "network".to_owned()),
    ];
    let own = services
        .into_iter()
        .map(|(service_type, path)| (service_type, format!("http://{}/{path}", state.address)));
    let others = state
        .other_endpoints
        .iter()
        .map(|(service_type, url)| (service_type.as_str(), url.clone()));
    let entry = |(service_type, url): (&str, String)| {
        let endpoints: Vec<Value> = ["public", "internal", "admin"]
            .iter()
            .map(
                |interface| json!({ "interface": interface, "region_id": "RegionOne", "url": url }),
            )
            .collect();
        json!({ "type": service_type, "name": service_type, "endpoints": endpoints })
    };
    own.chain(others).map(entry).collect()
}

fn trust_create(state: &mut State, call: &Call) -> Outcome {
    let token = call
        .token
        .as_deref()
        .and_then(|t| state.good_token(t))
        .cloned()
        .ok_or_else(unauthorized)?;
    let text = |field: &str| {
        call.text(&format!("/trust/{field}"))
            .unwrap_or_default()
            .to_owned()
    };
    let roles: Vec<String> = call
        .body
        .pointer("/trust/roles")
        .and_then(Value::as_array)
        .map(|roles| {
            roles
                .iter()
                .filter_map(|r| r["name"].as_str())
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    let is_own = text("trustor_user_id") == token.user_id && text("project_id") == token.project_id;
    if !is_own || token.trust_id.is_some() {
        return Err(refused(
            403,
            "The authenticated user should match the trustor.",
        ));
    }
    if !roles.iter().all(|role| token.roles.contains(role)) {
        return Err(refused(404, "Could not find role."));
    }
    let trust = Trust {
        trustor_user_id: token.user_id,
        trustee_user_id: text("trustee_user_id"),
        project_id: token.project_id,
        roles,
    };
    let id = new_hex_id();
    let body = describe_trust(&id, &trust);
    state.trusts.insert(id, trust);
    Ok(Reply::new(201, body))
}

fn describe_trust(id: &str, trust: &Trust) -> Value {
    json!({ "trust": {
        "id": id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": true,
        "roles": trust.roles.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
    } })
}

fn visible_trust(state: &State, call: &Call, id: &str) -> Result<(Trust, bool), Reply> {
    let who = state.who(call.token.as_deref()).ok_or_else(unauthorized)?;
    let trust = state
        .trusts
        .get(id)
        .ok_or_else(|| refused(404, "Could not find trust."))?;
    let is_trustor = trust.trustor_user_id == who.user_id;
    if is_trustor || trust.trustee_user_id == who.user_id || who.is_admin {
        Ok((trust.clone(), is_trustor || who.is_admin))
    } else {
        Err(refused(
            403,
            "You are not authorized to perform the requested action.",
        ))
    }
}

fn trust_show(state: &State, call: &Call, id: &str) -> Outcome {
    let (trust, _) = visible_trust(state, call, id)?;
    Ok(Reply::ok(describe_trust(id, &trust)))
}

fn trust_delete(state: &mut State, call: &Call, id: &str) -> Outcome {
    let (_, may_delete) = visible_trust(state, call, id)?;
    if !may_delete {
        return Err(refused(
            403,
            "You are not authorized to perform the requested action.",
        ));
    }
    state.trusts.remove(id);
    Ok(Reply::done())
}
